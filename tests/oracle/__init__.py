"""The naive oracle: docs/model in plain loops, sharing nothing with the models it judges.

Of hwsim it knows the data types and vocabularies alone (workload, arch, counts). Where a loop can
count, nothing is derived: decoders step cycle by cycle, rounds are lists of pixels, addresses,
rows and weight tiles are members of sets.
"""
