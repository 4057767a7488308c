"""Helpers that several test files share: the command line, servers, faults, clocks and slides to test with.

`push_cli` and `sites_cli` run the real command, `in_process` a push within the test. `sandboxes`, `cloud`,
`scripted_core`, `fake_core`, `hostile_server` and `pma_start` are the servers, `network` what lies before them,
`fault_proxy` and `fault_kinds` what goes wrong on the way, `clocks` and `idle_clock` the time.
`corpus*` write slides; `discovery` tells what is found. `gate` has sites with `require` and `prepare`,
`nodes_here` nodes without Dask, `dask_cluster` with it.
`forms` are forms for a sandbox, and fill them in. `boards` makes events for the board, `events_schema` checks the lines
of `--json`, `plain_http` asks a server of a test. `examples` says how many Hypothesis tries,
`source_code` reads statements.
`fork_server` starts the command in a tenth of the time of a new Python, also at a terminal; a `LatePatch`
may change it.
"""
