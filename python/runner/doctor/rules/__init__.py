"""The rules, one module a family. Each is a pure function of what was read and yields findings."""
