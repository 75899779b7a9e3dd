"""Neural networks: policies, critics, reward models."""
