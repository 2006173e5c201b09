from infra.accounts import ADMINISTRATOR, Accounts
from infra.kafka.accounts import accounts
from infra.minio.policies import policies


def test_every_account_has_a_secret_of_its_own() -> None:
    """For the store that makes accounts, for each function in each store that it uses, and no two alike."""
    manifests = Accounts().completed().manifests()
    names = {each["metadata"]["name"] for each in manifests}
    assert names == {"minio-root", *(f"s3-{name}" for name in policies()), *(f"kafka-{a.name}" for a in accounts())}
    drawn = [value for each in manifests for name, value in each["stringData"].items() if "USER" not in name]
    secrets = [value for value in drawn if value not in policies()]
    assert len(secrets) == len(set(secrets)) == len(manifests)


def test_who_has_a_secret_keeps_it() -> None:
    """Only what is new is drawn."""
    first = Accounts().completed()
    fewer = Accounts(s3=first.s3, kafka={name: first.kafka[name] for name in ("ingest", "train")})
    again = fewer.completed()
    assert again.s3 == first.s3
    assert (again.kafka["ingest"], again.kafka.keys()) == (first.kafka["ingest"], first.kafka.keys())
    assert again.kafka["site"] != first.kafka["site"]


def test_nothing_of_them_is_shown() -> None:
    """A secret may stand in a Secret, and nowhere else."""
    made = Accounts().completed()
    assert made.s3[ADMINISTRATOR] not in repr(made) + repr(made.keys())
