#ifndef CHDF5_H
#define CHDF5_H
#if __has_include(<hdf5.h>)
#include <hdf5.h>
#include <H5DSpublic.h>
#else
#include <hdf5/serial/hdf5.h>
#include <hdf5/serial/H5DSpublic.h>
#endif
#include <stdbool.h>
#include <sys/types.h>

// Runs `body` in a child process, for a file that may be damaged anywhere: the library can crash on it, or never come back.
// Returns the number of bytes that `body` wrote to `out` and that were put into `text`, 0 when it wrote none, -1 when there
// is no child. `is_late` says whether it was stopped after `seconds`.
ssize_t prn_in_child(
  void (*body)(void *context, int out), void *context, unsigned seconds, void *text, size_t size, bool *is_late);

// HDF5 names that are macros over globals: shown to Swift as read-only global variables.
#define PRN_H5(T, S, EXPR) \
  static inline T prn_get_##S(void) __attribute__((swift_name("getter:" #S "()"))); \
  static inline T prn_get_##S(void) { return (T)(EXPR); }
PRN_H5(hid_t, h5Default, H5P_DEFAULT)
PRN_H5(hid_t, h5All, H5S_ALL)
PRN_H5(hid_t, h5ErrorDefault, H5E_DEFAULT)
PRN_H5(hid_t, h5FileCreate, H5P_FILE_CREATE)
PRN_H5(hid_t, h5FileAccess, H5P_FILE_ACCESS)
PRN_H5(hid_t, h5DatasetCreate, H5P_DATASET_CREATE)
PRN_H5(hid_t, h5DatasetAccess, H5P_DATASET_ACCESS)
PRN_H5(hid_t, h5GroupCreate, H5P_GROUP_CREATE)
PRN_H5(hid_t, h5AttributeCreate, H5P_ATTRIBUTE_CREATE)
PRN_H5(hid_t, h5LinkCreate, H5P_LINK_CREATE)
PRN_H5(hid_t, h5Float32, H5T_IEEE_F32LE)
PRN_H5(hid_t, h5Float64, H5T_IEEE_F64LE)
PRN_H5(hid_t, h5Int32, H5T_STD_I32LE)
PRN_H5(hid_t, h5Int64, H5T_STD_I64LE)
PRN_H5(hid_t, h5UInt8, H5T_STD_U8LE)
PRN_H5(hid_t, h5CString, H5T_C_S1)
PRN_H5(hid_t, h5ObjectReference, H5T_STD_REF_OBJ)
PRN_H5(unsigned, h5AccTrunc, H5F_ACC_TRUNC)
PRN_H5(unsigned, h5AccExcl, H5F_ACC_EXCL)
PRN_H5(unsigned, h5AccReadOnly, H5F_ACC_RDONLY)
PRN_H5(unsigned, h5AccReadWrite, H5F_ACC_RDWR)
PRN_H5(size_t, h5Variable, H5T_VARIABLE)
PRN_H5(hsize_t, h5Unlimited, H5S_UNLIMITED)
#endif
