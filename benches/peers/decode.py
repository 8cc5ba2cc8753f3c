"""How much faster dfp decodes logs than pandas: the same files, in the same run, one core each.

    pip install pandas==2.3.3
    cargo build --release && cargo build --release -p dfp-benches --example decode_files
    python3 benches/peers/decode.py

pandas does what the scripts do that dfp replaces: parse the records, `json_normalize` them, take the columns of the profile and
cast them (times to UTC timestamps, the rest to text). dfp does the same in memory: it decodes the columns of the profile, with
time, outcome and user, and applies the profile's load rules. The last columns are `dfp read`, every column there is, as a
process that writes an Arrow file. No side counts its start-up but `dfp read`.
"""

import argparse
import glob
import gzip
import json
import os
import re
import subprocess
import tempfile
import time

import pandas

KINDS = ["azure-ad", "duo", "cloudtrail", "exchange"]
TIMES = ["time", "createdDateTime", "properties.createdDateTime", "isotimestamp", "eventTime", "CreationTime"]


def records(path):
    """The records of a file, whatever wraps them."""
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        text = file.read()
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        whole = [json.loads(line) for line in text.splitlines()]
    if isinstance(whole, dict):
        whole = whole.get("Records", [whole])
    return [json.loads(one["AuditData"]) if "AuditData" in one else one for one in whole]


def cast(table):
    """Every column with a type of its own."""
    for name in table.columns:
        column = table[name]
        if name in TIMES:
            table[name] = pandas.to_datetime(column, utc=True, format="ISO8601")
        elif column.dtype == object:
            table[name] = column.astype("string")
    return table


def with_pandas(files, columns):
    every = [record for path in files for record in records(path)]
    table = pandas.json_normalize(every)
    return len(cast(table[[name for name in columns if name in table.columns]].copy()))


def in_memory(program, kind, files):
    """The best of the runs that dfp makes by itself."""
    answer = subprocess.run([program, kind, *files], check=True, capture_output=True, text=True).stdout
    return json.loads(answer)


def with_program(program, kind, files, out):
    command = [program, "--quiet", "read", "--plugin", kind, "--out", out, *files]
    subprocess.run(command, check=True, capture_output=True)


def best(times, work):
    """The shortest of several runs, in seconds, and what the work answered."""
    shortest, answer = float("inf"), None
    for _ in range(times):
        started = time.perf_counter()
        answer = work()
        shortest = min(shortest, time.perf_counter() - started)
    return shortest, answer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="target/release", help="where cargo puts what it builds")
    parser.add_argument("--users", default="60")
    parser.add_argument("--days", default="20")
    options = parser.parse_args()
    program = os.path.join(options.target, "dfp")
    decode = os.path.join(options.target, "examples", "decode_files")
    print("| source | records | MB, unpacked | pandas | dfp | ratio | `dfp read` | ratio |\n|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            generate = [program, "--quiet", "generate", kind, "--users", options.users, "--days", options.days]
            subprocess.run([*generate, "--out", folder], check=True, capture_output=True)
            found = glob.glob(os.path.join(folder, "**", "*.json*"), recursive=True)
            files = sorted(path for path in found if os.path.isfile(path))
            size = sum(len(gzip.open(f).read()) if f.endswith(".gz") else os.path.getsize(f) for f in files) / 1e6
            ours = in_memory(decode, kind, files)
            whole, _ = best(5, lambda: with_program(program, kind, files, os.path.join(folder, "out.arrow")))
            theirs, rows = best(2, lambda: with_pandas(files, ours["columns"]))
            if ours["read"] != rows:
                print(f"{kind}: dfp read {ours['read']} records, pandas {rows}: not the same work")
            ratios = f"{ours['seconds']:.3f} s | {theirs / ours['seconds']:.0f} x | {whole:.3f} s | {theirs / whole:.0f} x"
            print(f"| {kind} | {rows} | {size:.1f} | {theirs:.2f} s | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
