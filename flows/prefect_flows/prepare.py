"""Raw releases into stores, as a flow."""

from poseshift.flows import prepare as plain
from poseshift.flows.runtime.in_prefect.flow import HOUR_S, flow_of

prepare = flow_of(plain.prepare, "prepare", "prepare {request.store}", 6 * HOUR_S)
