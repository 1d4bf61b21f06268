"""The places of the embedded world: streets, crossings and car parks, and who is in them."""
