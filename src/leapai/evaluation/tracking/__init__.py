"""Tracking metrics: AMOTA and CLEAR MOT, metrics of every object, timelines of identities."""
