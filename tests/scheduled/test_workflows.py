"""What Kubernetes and GitHub Actions start parses, never runs twice, and fails exactly when somebody is needed."""

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.scheduled.stage import FOLDER, SCRIPTS, TOLD, Stage, needs_flock


def cron_job() -> dict[str, Any]:
    documents = list(yaml.safe_load_all((FOLDER / "cronjob.yaml").read_text()))
    assert [document["kind"] for document in documents] == ["PersistentVolumeClaim", "CronJob"]
    job: dict[str, Any] = documents[1]
    return job


def test_the_cron_job_never_runs_twice_and_does_not_repeat_what_cannot_heal() -> None:
    spec = cron_job()["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert len(spec["schedule"].split()) == 5
    job = spec["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # podFailurePolicy asks for it
    rules = {rule["action"]: rule for rule in job["podFailurePolicy"]["rules"]}
    assert rules["FailJob"]["onExitCodes"] == {"containerName": "sync", "operator": "In", "values": [2]}
    (container,) = pod["containers"]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    limit = {entry["name"]: entry["value"] for entry in container["env"]}["SYNC_LIMIT"]
    assert int(limit.removesuffix("h")) * 3600 < job["activeDeadlineSeconds"]


@needs_flock
@pytest.mark.parametrize("code", TOLD)
def test_the_container_fails_exactly_when_somebody_is_needed(code: int, stage: Stage) -> None:
    container = cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert env["SYNC_TELL"] == "/scripts/tell-webhook.sh"
    env |= {"SYNC_STATE": str(stage.state), "SYNC_TELL": str(stage.tell), "STUB_CODE": str(code)}
    command = [part.replace("/scripts", str(FOLDER)) for part in container["command"]]
    done = stage.run(*command, **env)
    assert done.returncode == (0 if code == 1 else code)
    assert stage.told == TOLD[code]
    assert done.stdout == "{}\n"  # the log is the pod's


def test_the_config_map_holds_the_scripts_that_the_job_starts() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    (generated,) = kustomization["configMapGenerator"]
    assert kustomization["resources"] == ["cronjob.yaml"]
    assert set(generated["files"]) <= {path.name for path in SCRIPTS}
    volumes = cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"]
    assert generated["name"] in [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
    if shutil.which("kubectl") is None:
        return
    done = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    documents = {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}
    assert documents["ConfigMap"]["data"]["sync.sh"] == (FOLDER / "sync.sh").read_text()


def workflow() -> dict[str, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((FOLDER / "github-actions.yml").read_text())
    assert [entry["cron"] for entry in loaded[True]["schedule"]] == [
        "17 2 * * *"
    ]  # YAML 1.1 reads `on` as true
    return loaded


def test_the_workflow_never_runs_twice_and_keeps_what_a_person_needs() -> None:
    loaded = workflow()
    assert loaded["concurrency"] == {"group": "connector-sync", "cancel-in-progress": False}
    assert loaded["permissions"] == {"contents": "read", "issues": "write"}
    job = loaded["jobs"]["sync"]
    steps = {step.get("name"): step for step in job["steps"]}
    assert steps["Keep the report and the rejects"]["if"] == "always()"
    assert steps["Tell somebody"]["if"] == "failure()"
    for step in job["steps"]:
        assert "${{" not in step.get("run", "")  # what is pasted into a script is run by it
        assert (
            subprocess.run(["bash", "-n"], input=step.get("run", ""), text=True, check=False).returncode == 0
        )
    secrets = {name for name, value in job["env"].items() if "secrets." in str(value)}
    assert secrets == {"QDRANT_URL", "QDRANT_API_KEY"}


@needs_flock
@pytest.mark.parametrize("code", TOLD)
def test_the_workflow_fails_exactly_when_somebody_is_needed(code: int, stage: Stage) -> None:
    job = workflow()["jobs"]["sync"]
    (step,) = (step for step in job["steps"] if step.get("name") == "Sync")
    (stage.folder / "sync").symlink_to(FOLDER)
    env = {name: value for name, value in job["env"].items() if "secrets." not in value}
    done = stage.run("bash", "-e", "-c", step["run"], **env, STUB_CODE=str(code))
    assert done.returncode == (0 if code == 1 else code)
    annotations = [line for line in done.stdout.splitlines() if line.startswith("::")]
    kinds = {"notice": "::warning title=connector sync::", "alert": "::error title=connector sync::"}
    assert len(annotations) == len(TOLD[code])
    assert all(line.startswith(kinds[level]) for line, level in zip(annotations, TOLD[code], strict=True))
    # A step that fails starts "Tell somebody"; 130 and 143 end a run that somebody cancelled.
