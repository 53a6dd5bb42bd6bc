"""Between HTTP with JSON and messages: everything here follows from descriptors alone."""
