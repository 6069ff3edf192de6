"""Settings of all tests: property tests draw the same examples every time and never judge by the clock."""

from hypothesis import settings

settings.register_profile("drivelet", deadline=None, derandomize=True)
settings.load_profile("drivelet")
