import CHDF5

// Dimension scales give the axes of a dataset names and values that h5py, xarray and HDFView show.

extension HDF5File {
  /// Makes the one-dimensional dataset `scale` the values of an axis called `axis`.
  func makeScale(_ scale: String, axis: String) throws {
    let doing = "make the axis `\(axis)`"
    try HDF5.locked {
      try HDF5.holding(H5Dopen2(id, scale, h5Default), H5Dclose, path, doing) {
        try HDF5.check(H5DSset_scale($0, axis), path, doing)
      }
    }
  }

  /// Names the axis number `dimension` of `dataset` and attaches its scale.
  func attach(_ dataset: String, dimension: Int, axis: String, scale: String) throws {
    let doing = "name axis \(dimension) of `\(dataset)`"
    try HDF5.locked {
      try HDF5.holding(H5Dopen2(id, dataset, h5Default), H5Dclose, path, doing) { open in
        if dataset != scale {
          try HDF5.holding(H5Dopen2(id, scale, h5Default), H5Dclose, path, doing) {
            try HDF5.check(H5DSattach_scale(open, $0, UInt32(dimension)), path, doing)
          }
        }
        try HDF5.check(H5DSset_label(open, UInt32(dimension), axis), path, doing)
      }
    }
  }
}
