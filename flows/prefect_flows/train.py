"""Training one lifter, as a flow under the two names of what it is used for."""

from poseshift.flows import train as plain
from poseshift.flows.runtime.in_prefect.flow import HOUR_S, flow_of

train = flow_of(plain.train, "train", "train {folder}", 48 * HOUR_S)
adapt = flow_of(plain.adapt, "adapt", "adapt {folder}", 48 * HOUR_S)
