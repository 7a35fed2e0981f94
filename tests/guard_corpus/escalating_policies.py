"""Prints src/guard/escalating_policies.json: which AWS-managed policies allow an action of src/guard/escalating.json.

Usage: escalating_policies.py src/guard/escalating.json DIRECTORY > src/guard/escalating_policies.json

DIRECTORY holds one JSON file for each AWS-managed policy, with its arn and, under document, its default version. Where
they come from stands in README.md beside this file.
"""

import fnmatch
import json
import os
import re
import sys

# Some data sets have the names of these two and not what they say: their default versions as the AWS managed policy
# reference guide prints them.
WIDEST = [
    {
        "arn": "arn:aws:iam::aws:policy/AdministratorAccess",
        "document": {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
    },
    {
        "arn": "arn:aws:iam::aws:policy/PowerUserAccess",
        "document": {
            "Statement": [
                {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
                {
                    "Effect": "Allow",
                    "Action": [
                        "account:GetAccountInformation",
                        "account:GetGovCloudAccountInformation",
                        "account:GetPrimaryEmail",
                        "account:ListRegions",
                        "iam:CreateServiceLinkedRole",
                        "iam:DeleteServiceLinkedRole",
                        "iam:ListRoles",
                        "organizations:DescribeEffectivePolicy",
                        "organizations:DescribeOrganization",
                    ],
                    "Resource": "*",
                },
            ]
        },
    },
]
SUSPICIOUS = re.compile(r"(FullAccess[^/]*|.*Administrator[^/]*|PowerUser[^/]*|IAM[^/]*)$")
SHOWN = 4


def listed(value):
    return value if isinstance(value, list) else [value]


def matching(pattern, floor):
    """Of the floor, a map from services to actions, those that a pattern takes in."""
    service = pattern.lower().split(":", 1)[0]
    compiled = re.compile(fnmatch.translate(pattern.lower()))
    candidates = sum(floor.values(), []) if "*" in service or "?" in service else floor.get(service, [])
    return {action for action in candidates if compiled.match(action.lower())}


def hits(document, floor):
    found = set()
    for statement in listed(document["Statement"]):
        if statement["Effect"] != "Allow":
            continue
        if "Action" in statement:
            for pattern in listed(statement["Action"]):
                found |= matching(pattern, floor)
        else:
            excepted = [matching(pattern, floor) for pattern in listed(statement["NotAction"])]
            found |= set(sum(floor.values(), [])).difference(*excepted)
    # A Deny of all resources without a condition takes an action away again.
    for statement in listed(document["Statement"]):
        if statement["Effect"] == "Deny" and statement.get("Resource") == "*" and not statement.get("Condition"):
            for pattern in listed(statement.get("Action", [])):
                found -= matching(pattern, floor)
    return found


def main(floor_path, directory):
    with open(floor_path) as file:
        actions = [entry["action"] for entry in json.load(file)["actions"]]
    floor = {}
    for action in actions:
        floor.setdefault(action.split(":", 1)[0], []).append(action)
    # The actions that say most come first.
    order = {action: (not action.startswith(("iam:", "sts:")), action.lower()) for action in actions}
    escalating, harmless = {}, []
    policies = list(WIDEST)
    for name in sorted(os.listdir(directory)):
        with open(os.path.join(directory, name)) as file:
            policies.append(json.load(file))
    for policy in policies:
        if not policy.get("arn") or not policy.get("document"):
            continue  # Some data sets keep the names of policies that it could not read.
        suffix = policy["arn"].split(":policy/", 1)[1]
        found = sorted(hits(policy["document"], floor), key=order.get)
        if found:
            escalating[suffix] = found[:SHOWN]
        elif SUSPICIOUS.search(suffix.rsplit("/", 1)[-1]):
            harmless.append(suffix)
    rows = [f"    {json.dumps(name)}: {json.dumps(escalating[name])}" for name in sorted(escalating)]
    names = [f"    {json.dumps(name)}" for name in sorted(harmless)]
    print('{\n  "escalating": {\n' + ",\n".join(rows) + '\n  },\n  "harmless": [\n' + ",\n".join(names) + "\n  ]\n}")


main(*sys.argv[1:])
