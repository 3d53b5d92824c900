"""bolt v1 and v2, the RPC protocol of SOFABolt: one codec for both."""
