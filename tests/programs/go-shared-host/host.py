# Go in a Python program, by ctypes.
import ctypes
import sys

library = ctypes.CDLL(sys.argv[1])
library.GoHeap.restype = ctypes.c_longlong
library.GoKeep(100)
print("heap", library.GoHeap(40))
print("ready", flush=True)
sys.stdin.readline()
