"""Lifting a store, as a flow."""

from poseshift.flows import predict as plain
from poseshift.flows.runtime.in_prefect.flow import HOUR_S, flow_of

predict_once = flow_of(plain.predict_once, "predict", "predict {location}", 6 * HOUR_S)
