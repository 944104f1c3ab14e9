// swift-tools-version: 6.2
import PackageDescription

// Numeric code is 70 to 250 times slower without the optimiser, so these modules keep it in debug builds too.
let hot: [SwiftSetting] = [.unsafeFlags(["-O"], .when(configuration: .debug))]
let hotC: [CSetting] = [.unsafeFlags(["-O2"], .when(configuration: .debug))]

let package = Package(
  name: "prn",
  products: [.executable(name: "prn", targets: ["Shell"])],
  targets: [
    .target(name: "COpenBLAS", linkerSettings: [.linkedLibrary("openblas"), .linkedLibrary("lapacke")]),
    .target(name: "CHDF5", linkerSettings: [.linkedLibrary("hdf5_serial_hl"), .linkedLibrary("hdf5_serial")]),
    .target(name: "CCrypto", linkerSettings: [.linkedLibrary("crypto")]),
    .target(name: "CZlib", linkerSettings: [.linkedLibrary("z")]),
    .target(name: "CSystem"),
    .target(name: "CMPI"),
    .target(name: "CEditLine", linkerSettings: [.linkedLibrary("edit")]),
    .target(name: "CKernels", cSettings: hotC),
    .target(name: "Ranks", dependencies: ["CMPI"]),
    .target(name: "Numerics", dependencies: ["COpenBLAS", "CKernels", "Ranks"], swiftSettings: hot),
    .target(name: "Transformer", dependencies: ["Numerics", "CKernels", "Ranks"], swiftSettings: hot),
    .target(name: "Kernel", dependencies: ["CHDF5", "CCrypto", "CSystem", "Ranks"]),
    .target(name: "Ops", dependencies: ["Kernel", "Transformer", "Numerics", "CZlib", "Ranks"], swiftSettings: hot),
    .executableTarget(name: "Shell", dependencies: ["Ops", "Kernel", "CEditLine", "CZlib", "Ranks"]),
    .target(
      name: "MadeUpModels", dependencies: ["Transformer"], path: "Tests/MadeUpModels", swiftSettings: hot),
    .executableTarget(
      name: "prn-bench", dependencies: ["Ops", "Transformer", "Numerics", "MadeUpModels"],
      path: "Tests/Benchmarks/prn-bench"),
    .testTarget(name: "NumericsTests", dependencies: ["Numerics", "CKernels"], swiftSettings: hot),
    .testTarget(name: "TransformerTests", dependencies: ["Transformer", "Numerics"], swiftSettings: hot),
    .testTarget(name: "KernelTests", dependencies: ["Kernel", "Ranks"]),
    .testTarget(
      name: "OpsTests", dependencies: ["Ops", "Kernel", "Transformer", "Numerics", "CZlib", "Ranks"], swiftSettings: hot
    ),
    .testTarget(name: "ShellTests", dependencies: ["Shell", "Ops", "Kernel", "MadeUpModels"]),
  ]
)
