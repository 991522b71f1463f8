"""Fix recipes: the same rules for many failed deliveries, in one table, once or for the failures to come."""
