"""What CRS is compared with. Each is a `Ranker`, or trains one."""
