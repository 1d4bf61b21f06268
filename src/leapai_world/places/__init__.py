"""The places of the embedded world: streets, crossings and car parks, with their actors."""
