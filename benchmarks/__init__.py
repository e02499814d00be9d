"""Measurements of this project, side by side with what they are compared with; one command runs and renders them.

    python -m benchmarks list                                    # every cell: what it measures, needs, aims at
    python -m benchmarks run [NAME ...] [--gpu] [--all]          # writes results/NAME.json; without a name the CPU set
    python -m benchmarks report [--check]                        # docs/performance.md and README.md, from results/

A cell is a module with a function `measure` and one line in `benchmarks.registry.CELLS`. The contract of `measure`:

- Every parameter of it has a default. It takes no input and writes neither results nor figures. It runs in a process
  of its own: it may set threads, start a Ray (and shut it down), print progress.
- Variants that are compared take turns within one run; at least five rounds, medians.
- It returns what it found, which can be written as JSON. A long cell yields that again and again as it grows; each time
  it is written, so that a run that is cut off keeps what it had.
- What is found holds whatever the measurement wants to keep, and under these keys, for `report`, which knows no
  measurement by name:
    - `"rows"`: a list of `benchmarks.rows.row(...)`, one per line of the table;
    - `"plots"`, if any: a list of `benchmarks.rows.plot(...)`, one per figure.
    - `"failed"`, if any: name -> why, of the parts of a cell that failed; the command's exit code then is 1.
- A cell of parts (`Cell.of_parts`) also takes `limit_s` and `journal`; `benchmarks/gpu` says how it runs them.
- A cell that needs a GPU runs at tiny sizes where there is none. Such a rehearsal, whose numbers mean nothing, says
  `"rehearsal": True`.
"""
