"""Fuzzing of everything that reads files from outside: mutated files must be read or refused, nothing else.

``python -m benchmarks.fuzz --mutations 10000 --out fuzz.json`` mutates a valid file of each format many
times, in ways that know the format, and reads each in a child process with a bound on memory and time.
"""
