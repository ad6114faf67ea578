"""What commands and deployments run, as Prefect flows: that of ``poseshift.flows.X.f`` is ``X.f`` here.

Each is the plain function with a name and a time-out, see :mod:`poseshift.flows.runtime.in_prefect.flow`.
They are entry points of deployments, and modules of their own, so that each loads no more than it needs.
"""
