"""Notifications: what is told of alarms, when, and on which ways; nothing here is imported while they are off."""
