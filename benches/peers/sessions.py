"""How much faster dfp cuts and scores sessions than msticpy: the same events, in the same run, one core each.

    pip install msticpy==3.0.2
    cargo build --release -p dfp-benches --example session_files
    python3 benches/peers/sessions.py --events 133400

Both sides have the events in memory and do what msticpy's notebook does: sessions of a user at an address, 20 minutes long at
most, 2 minutes between two events; a model of all of them; the rarest window of three events of each. dfp runs with msticpy's
settings; that the smallest likelihood is the same number is checked. msticpy takes minutes for 133,400 events.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import tempfile
import time
from datetime import datetime, timedelta, timezone

import pandas
from msticpy.analysis.anomalous_sequence import anomalous, sessionize
from msticpy.analysis.anomalous_sequence.utils.data_structures import Cmd

COMMANDS = [f"Set-Thing{n}" for n in range(22)]
FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def events(number, seed):
    """Sessions of mostly one event, some of many, over habits that differ by user, like the sample log of the notebook."""
    dice = random.Random(seed)
    rows = []
    start = datetime(2020, 3, 1, tzinfo=timezone.utc)
    user = 0
    while len(rows) < number:
        user += 1
        now = start + timedelta(seconds=dice.randrange(7_000_000))
        command = dice.randrange(4)
        for _ in range(1 if dice.random() < 0.6 else dice.randrange(2, 14)):
            parameters = [
                {"Name": f"Parameter{(command + n) % 30}", "Value": dice.choice(["True", "False", "", f"v{dice.randrange(40)}"])}
                for n in range(1 + command % 7)
            ]
            rows.append([now.strftime(FORMAT), f"user{user % 400}", f"198.51.100.{user % 200}", COMMANDS[command], json.dumps(parameters)])
            now += timedelta(seconds=dice.randrange(100))
            command = dice.randrange(22) if dice.random() < 0.1 else (command * 3 + 1) % 22
    return rows[:number]


def msticpy_side(rows, kind):
    table = pandas.DataFrame(rows, columns=["TimeGenerated", "UserId", "ClientIP", "Operation", "Parameters"])
    table["TimeGenerated"] = pandas.to_datetime(table["TimeGenerated"], utc=True)
    parameters = [{one["Name"]: one["Value"] for one in json.loads(text)} for text in table["Parameters"]]
    table["event"] = {
        "commands": lambda: table["Operation"],
        "parameters": lambda: [Cmd(name, set(of)) for name, of in zip(table["Operation"], parameters)],
        "values": lambda: [Cmd(name, of) for name, of in zip(table["Operation"], parameters)],
    }[kind]()
    started = time.perf_counter()
    sessions = sessionize.sessionize_data(table, ["UserId", "ClientIP"], "TimeGenerated", 20, 2, "event")
    cut = time.perf_counter() - started
    started = time.perf_counter()
    scored = anomalous.score_sessions(sessions, "event_list", 3)
    return len(sessions), scored["rarest_window3_likelihood"].min(), cut, time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="target/release", help="where cargo puts what it builds")
    parser.add_argument("--events", type=int, nargs="+", default=[1_334, 133_400])
    parser.add_argument("--kinds", nargs="+", default=["commands", "parameters", "values"])
    options = parser.parse_args()
    program = os.path.join(options.target, "examples", "session_files")
    print("| events | kind | sessions | msticpy: cut + score | dfp: cut + score | ratio |\n|---|---|---|---|---|---|")
    for number in options.events:
        rows = events(number, 1)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "events.csv")
            with open(path, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["TimeGenerated", "UserId", "ClientIP", "Operation", "Parameters"])
                writer.writerows(rows)
            for kind in options.kinds:
                answer = subprocess.run([program, kind, path], check=True, capture_output=True, text=True).stdout
                ours = json.loads(answer)
                sessions, rarest, cut, score = msticpy_side(rows, kind)
                if ours["sessions"] != sessions or abs(ours["rarest"] - rarest) > 1e-12 * rarest:
                    print(f"different results: {ours} and {sessions} sessions, rarest {rarest}")
                ratio = (cut + score) / (ours["sessionize"] + ours["score"])
                ms = f"{ours['sessionize'] * 1e3:.2f} + {ours['score'] * 1e3:.2f} ms"
                print(f"| {number} | {kind} | {sessions} | {cut:.2f} + {score:.3f} s | {ms} | {ratio:,.0f} x |", flush=True)


if __name__ == "__main__":
    main()
