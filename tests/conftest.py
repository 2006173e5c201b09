"""What holds for all tests."""

from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # how long an example takes is no claim of any test
settings.load_profile("any machine")
