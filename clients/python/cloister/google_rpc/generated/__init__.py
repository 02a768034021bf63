"""Made from proto/google/rpc when the package is built."""
