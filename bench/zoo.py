"""Measure, record and judge the zoo of 60 healthy trainings and 60 planted diseases; zoo/__init__.py defines them.

python bench/zoo.py measure [--only NAME] [--framework keras|torch] [--again]
python bench/zoo.py record  [--only NAME] [--framework keras|torch] [--again]
python bench/zoo.py judge   [--half reported|unseen] [--only NAME]
"""

from __future__ import annotations

import argparse
import importlib


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("measure", "record", "judge"))
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--framework", default="", choices=("", "keras", "torch"))
    parser.add_argument("--half", default="", choices=("", "reported", "unseen"))
    parser.add_argument("--again", action="store_true", help="also what was done before")
    options = parser.parse_args()
    work = importlib.import_module(f"zoo.{options.what}")
    if options.what == "judge":
        work.main(options.only, options.framework, options.half)
    else:
        work.main(options.only, options.framework, options.again)


if __name__ == "__main__":
    main()
