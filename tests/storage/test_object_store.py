"""The same store on S3-compatible object storage, against a server in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import icechunk
import pytest
from distributed import Client, LocalCluster
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from poseshift.preprocessing.batchwise import on_workers
from poseshift.preprocessing.human36m.read import plan_human36m
from poseshift.preprocessing.ingest import ingest
from poseshift.storage.expiry import expire, planned_expiry
from poseshift.storage.location import Location
from poseshift.storage.reading import read_camera_poses
from poseshift.storage.room import measure_store
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore, StoreError
from poseshift.storage.tags import add_tag

MakeTrial = Callable[..., Trial]

BUCKET = "poses"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Address of an S3 server on a free port; what it holds ends with it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """An empty prefix; where it lies and who may write there is in the environment alone."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)
    return f"s3://{BUCKET}/{request.node.name}"


def test_create_write_read_and_travel_in_time(bucket: str, make_trial: MakeTrial) -> None:
    assert not PoseStore.exists(bucket)
    store = PoseStore.create(bucket, "human36m", restaged_from="made-up motion")
    first = make_trial()
    with store.transaction("one trial") as transaction:
        transaction.write(first)
    early = store.snapshot
    with store.transaction("another trial") as transaction:
        transaction.write(make_trial(subject="S5"))

    assert PoseStore.exists(bucket)
    again = PoseStore.open(bucket)
    assert again.attributes.restaged_from == "made-up motion"
    assert [key.subject for key in again.keys()] == ["S1", "S5"]
    assert (again.read(first.key).positions_world == first.positions_world).all()
    assert again.verify().succeeded
    assert [commit.message for commit in again.history()][:2] == ["another trial", "one trial"]
    assert PoseStore.open(bucket, snapshot=early).keys() == (first.key,)


def test_equals_the_store_in_a_folder(bucket: str, store: PoseStore, make_trial: MakeTrial) -> None:
    remote = PoseStore.create(bucket, "human36m")
    for place in (store, remote):
        with place.transaction("two trials") as transaction:
            transaction.write(make_trial())
            transaction.write(make_trial(subject="S5", frames=3))
    assert remote.digest() == store.digest()
    ours, theirs = read_camera_poses(remote), read_camera_poses(store)
    assert (ours.positions_camera == theirs.positions_camera).all()
    assert (ours.keypoints_px == theirs.keypoints_px).all()


def test_prepare_writes_through_dask_workers(bucket: str, restaged: Path, tmp_path: Path) -> None:
    plan = plan_human36m(restaged / "human36m")
    stores = (
        PoseStore.create(bucket, "human36m", restaged_from=plan.restaged_from),
        PoseStore.create(tmp_path / "store", "human36m", restaged_from=plan.restaged_from),
    )
    with (
        LocalCluster(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        reports = [ingest(plan, store, on_workers(client)) for store in stores]
        again = ingest(plan, stores[0], on_workers(client))
    assert all(report.committed for report in reports)
    assert stores[0].digest() == stores[1].digest()
    assert PoseStore.open(bucket).verify().succeeded
    assert not again.committed


def test_of_two_committers_one_wins_and_the_other_is_told(bucket: str, make_trial: MakeTrial) -> None:
    PoseStore.create(bucket, "human36m")
    slow, fast = PoseStore.open(bucket), PoseStore.open(bucket)

    def write_slowly() -> None:
        with slow.transaction("slow") as transaction:
            transaction.write(make_trial(subject="S1"))
            with fast.transaction("fast") as other:
                other.write(make_trial(subject="S5"))

    with pytest.raises(StoreError, match="another writer committed first; nothing was written"):
        write_slowly()

    winner = PoseStore.open(bucket)
    assert winner.history()[0].message == "fast"
    assert winner.keys() == (TrialKey("S5", "Directions 1"),)
    assert winner.verify().succeeded

    with slow.transaction("slow, again") as transaction:  # as the message says
        transaction.write(make_trial(subject="S1"))
    assert len(PoseStore.open(bucket).keys()) == 2


def test_a_second_store_in_one_place_is_refused(bucket: str) -> None:
    PoseStore.create(bucket, "human36m")
    with pytest.raises(StoreError, match="a store already"):
        PoseStore.create(bucket, "human36m")


def test_creation_that_was_interrupted_before_its_commit_is_finished(bucket: str) -> None:
    icechunk.Repository.create(Location.parse(bucket).icechunk_storage())
    assert not PoseStore.exists(bucket)
    assert PoseStore.create(bucket, "human36m").keys() == ()


def test_a_lost_object_is_found_by_verify(bucket: str, make_trial: MakeTrial) -> None:
    store = PoseStore.create(bucket, "human36m")
    with store.transaction("one trial") as transaction:
        transaction.write(make_trial(frames=500))  # too much for a chunk inside the manifest
    client = boto3.client("s3", region_name="us-east-1")
    prefix = f"{Location.parse(bucket).path}/chunks/"
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    client.delete_object(Bucket=BUCKET, Key=found[0]["Key"])
    report = PoseStore.open(bucket).verify()
    assert len(report.problems) == 1
    assert "cannot be read" in report.problems[0]


def test_wrong_place_is_told(bucket: str) -> None:
    with pytest.raises(StoreError, match="no-such-bucket"):
        PoseStore.open("s3://no-such-bucket/h36m")


def test_expiry_leaves_what_a_running_commit_has_written(bucket: str, make_trial: MakeTrial) -> None:
    store = PoseStore.create(bucket, "human36m")
    for seed in range(3):
        with store.transaction(f"commit {seed}") as transaction:
            transaction.write(make_trial(frames=600, seed=seed))
        if seed == 0:
            first = add_tag(store, "first").snapshot
    now = datetime.now(UTC)
    with store.transaction("while another expires") as transaction:
        transaction.write(make_trial(subject="S5", frames=600))
        assert planned_expiry(PoseStore.open(bucket), 0, {}, now).freed_bytes is None
        done = expire(PoseStore.open(bucket), 0, {}, now)  # all is younger than a day
    assert done.freed_bytes == 0
    assert [one.message for one in done.expired][:1] == ["commit 1"]
    assert store.verify().succeeded
    room = measure_store(PoseStore.open(bucket))
    assert room.unreachable_bytes > 10_000
    assert room.total_bytes is None

    later = expire(store, 0, {}, now + timedelta(days=1, minutes=5))
    assert later.freed_bytes is not None
    assert later.freed_bytes >= room.unreachable_bytes
    assert measure_store(PoseStore.open(bucket)).unreachable_bytes == 0
    assert PoseStore.open(bucket).verify().succeeded
    assert [key.subject for key in store.keys()] == ["S1", "S5"]
    assert PoseStore.open(bucket, "first").snapshot == first
    assert PoseStore.open(bucket, first).verify().succeeded
