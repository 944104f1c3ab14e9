// Extended attributes of files, which the module map of Glibc leaves out.
#pragma once
#include <sys/xattr.h>
