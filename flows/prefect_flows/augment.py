"""A synthetic training set, as a flow."""

from poseshift.flows import augment as plain
from poseshift.flows.runtime.in_prefect.flow import HOUR_S, flow_of

augment = flow_of(plain.augment, "augment", "augment {request.store}", 6 * HOUR_S)
