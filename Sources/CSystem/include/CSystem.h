// What the module map of Glibc leaves out: extended attributes of files, and the allocator's own calls.
#pragma once
#include <malloc.h>
#include <sys/xattr.h>
