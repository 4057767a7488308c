"""Emulators of S3 and Azure Blob Storage: moto's server and Azurite as child processes, behind a proxy of ours.

`processes` starts them, `buckets` makes buckets and containers in them, `gateway` is the proxy between clients and
them, and `validation` has the checks of requests that they do not make themselves.
"""
