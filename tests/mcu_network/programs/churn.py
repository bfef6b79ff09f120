# The asyncio echo server of the examples, and another port that tells how much of the heap is used:
# churn.py PORT CERT KEY EXAMPLES REPORT_PORT
import asyncio
import gc
import sys

port, cert, key, examples, report_port = sys.argv[1:]
sys.path.append(examples)
import asyncio_echo_server as example

example.PATIENCE = 5


async def report(reader, writer):
    gc.collect()
    writer.write(b"%d\n" % gc.mem_alloc())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def main():
    await asyncio.start_server(report, "0.0.0.0", int(report_port))
    await example.main("0.0.0.0", port, cert, key)


asyncio.run(main())
