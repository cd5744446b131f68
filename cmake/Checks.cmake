# The ctest entries that are not unit tests: black box, style and sanitizer runs.
