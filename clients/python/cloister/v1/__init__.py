"""Messages of the API, generated from proto/cloister/v1 when the package is built. Their comments are the contract."""
