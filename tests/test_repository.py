"""The repository itself: its top level, what it must not say, its dependencies, its wheel."""

import configparser
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("runtime", "server", "build", "dev", "iati")

TOP_LEVEL = {
    ".ci",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "babel.cfg",
    "benchmarks",
    "broker",
    "docs",
    "fixtures",
    "hatch_build.py",
    "matching",
    "models",
    "pyproject.toml",
    "requirements",
    "templates",
    "tests",
}

# In two parts each, or this file would be the first to break the rule.
FORBIDDEN = {
    "a package registry": "|".join(
        [
            r"pypi\." + "(?:org|io)",
            "python" + "hosted",
            r"registry\." + "npmjs",
            r"deb\." + r"debian\.org",
            r"crates\." + "io",
            "--(?:extra-)?" + "index-url",
            "--find" + "-links",
            "--trusted" + "-host",
        ]
    ),
    "a path of one machine": "|".join(
        [
            r"(?<![\w.~-])/(?:work|root)" + r"/[\w.]",
            r"(?<![\w.~-])/(?:home|Users)" + r"/[a-z]",
            r"\b[A-Z]:" + r"\\Users",
            "file:" + "///",
        ]
    ),
}


def tracked(*folders: str) -> list[str]:
    """Paths of the files under version control, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", *folders],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return canonical(found[0])


def locked(lock: str) -> dict[str, str]:
    """Version of each package in a lock file, by canonical name."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return {
        canonical(name): version
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    }


def direct_dependencies() -> dict[str, set[str]]:
    """What pyproject.toml names, by the lock file that has to hold it."""
    project = PROJECT["project"]
    groups = {
        group: {requirement_name(item) for item in items if isinstance(item, str)}
        for group, items in PROJECT["dependency-groups"].items()
    }
    runtime = {requirement_name(item) for item in project["dependencies"]}
    extras = {
        requirement_name(item) for e in project["optional-dependencies"].values() for item in e
    }
    server = runtime | extras
    return {
        "runtime": runtime,
        "server": server,
        "build": groups["build"],
        "dev": server | groups["build"] | groups["dev"],
        "iati": groups["iati"],
    }


# --- What lies where -----------------------------------------------------------------------


def test_top_level_is_as_laid_out() -> None:
    assert {name.partition("/")[0] for name in tracked()} == TOP_LEVEL


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names_it(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    leaks = []
    for name in tracked():
        content = (ROOT / name).read_bytes()
        if b"\0" in content:
            continue
        # Some sheets are kept as programs of other alphabets write them.
        lines = content.decode("utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            if pattern.search(line):
                leaks.append(f"{name}:{number}: {line.strip()[:120]}")
    assert leaks == []


def test_ci_runs_what_a_developer_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").rstrip().endswith("make test")


# --- Dependencies --------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_every_direct_dependency(lock: str) -> None:
    assert direct_dependencies()[lock] - locked(lock).keys() == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_by_hash_alone(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    for entry in re.sub(r"\\\n", "", text).splitlines():
        if entry.strip() and not entry.lstrip().startswith("#"):
            assert re.fullmatch(
                r"[\w.-]+==[\w.!+]+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", entry
            ), entry[:100]


def test_locks_agree_on_versions() -> None:
    developed_on = locked("dev")
    for lock in set(LOCKS) - {"iati"}:
        assert locked(lock).items() <= developed_on.items(), lock


def test_every_dependency_has_its_reason_and_its_pinned_version_in_the_docs() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    described = {
        canonical(name): version
        for name, version in re.findall(r"^\| ([a-z0-9-]+) \| (\d\S*) \|.*\w.*\|$", page, re.M)
    }
    pinned = locked("dev") | locked("iati")
    named = direct_dependencies()
    assert described == {name: pinned[name] for name in named["dev"] | named["iati"]}


# --- The wheel -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product as it is shipped; built without any network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def shipped(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("folder", ["templates", "fixtures"])
def test_wheel_carries_the_data(shipped: set[str], folder: str) -> None:
    files = tracked(folder)
    assert files
    assert {f"broker/_data/{name}" for name in files} <= shipped


@pytest.mark.parametrize("folder", ["models/migrations", "broker/static"])
def test_wheel_carries_what_lies_in_the_packages(shipped: set[str], folder: str) -> None:
    files = tracked(folder)
    assert files
    assert set(files) <= shipped


def test_wheel_carries_every_translation_compiled(shipped: set[str]) -> None:
    sources = [name for name in tracked("broker/translations") if name.endswith(".po")]
    assert sources
    assert {re.sub(r"\.po$", ".mo", name) for name in sources} <= shipped


def test_wheel_carries_the_three_packages_and_nothing_else(wheel: Path, shipped: set[str]) -> None:
    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    assert {name.partition("/")[0] for name in shipped} == {"broker", "matching", "models", info}
    assert f"{info}/licenses/LICENSE" in shipped


def test_wheel_installs_the_command_and_asks_for_the_dependencies(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [info] = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        scripts = configparser.ConfigParser()
        scripts.read_string(archive.read(f"{info}/entry_points.txt").decode())
        metadata = HeaderParser().parsestr(archive.read(f"{info}/METADATA").decode())
    assert dict(scripts["console_scripts"]) == PROJECT["project"]["scripts"]
    asked = {requirement_name(item) for item in metadata.get_all("Requires-Dist", [])}
    assert asked == direct_dependencies()["server"]


@pytest.mark.slow
def test_installed_wheel_runs_the_demonstration_outside_the_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-index",
            "--no-deps",
            "-t",
            site,
            wheel,
        ],
        check=True,
        capture_output=True,
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BROKER_")},
        # Ahead of the editable install of the checkout.
        "PYTHONPATH": str(site),
        "HOME": str(tmp_path),
        "BROKER_HOME": str(tmp_path / "exchange"),
        # The wheel holds no encoder, and reading every text once more would prove nothing of it.
        "BROKER_ENCODER": "none",
    }

    def run(*arguments: str) -> str:
        finished = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    assert run("-c", "import broker; print(broker.__file__)").startswith(str(site))
    main = "import sys; from broker.cli import main; sys.argv[0] = 'broker'; sys.exit(main())"
    run("-c", main, "demo", "--no-serve")
    assert "needs" in run("-c", main, "report", "--format", "text").lower()
