"""A thousand nights of a recipe that is looked at every night, with faults drawn from a seed.

Real: each night is a process of its own that prepares from raw files, decides, trains, evaluates and reports
by the flows' plain functions, with their locks, stages and stores; kills are SIGKILL, a full disk is the
system's limit on the size of files. Simulated: time (a night follows at once on the last one, the machine
sleeps without sleeping, and the doctor is told that a week has passed), and the timetable; no Prefect server
takes part. ``benchmarks.faults`` kills real servers.
"""
