import Foundation
import Numerics
import Ops
import Transformer

/// The answer to one request: seconds, and what lets the driver check that both sides did the same work.
struct Measurement {
  var time: Time
  var checks: [(name: String, value: Double)] = []

  /// What a timed part took.
  struct Time {
    let seconds: Double
    /// The share of all threads' time that went into matrix products.
    let products: Double
  }

  var json: String {
    let pairs = [("seconds", time.seconds), ("products", time.products)] + checks.map { ($0.name, $0.value) }
    return "{" + pairs.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
  }
}

enum Benchmarks {
  static func serve() {
    try? BLAS.configure(core: ProcessInfo.processInfo.environment["PRN_BLAS_CORE"] ?? "auto")
    print("{\"blas\": \"\(BLAS.description)\"}")
    fflush(nil)
    while let line = readLine() {
      let words = line.split(separator: " ").map(String.init)
      do {
        print(try answer(words).json)
      } catch {
        print("{\"error\": \"\(error)\"}")
      }
      fflush(nil)
    }
  }

  /// Folders stay open between requests, as a session's would.
  nonisolated(unsafe) private static var models: [String: LanguageModel] = [:]

  private static func model(_ folder: String, _ precision: Precision) throws -> LanguageModel {
    let name = "\(folder) \(precision.rawValue)"
    if let model = models[name] { return model }
    let model = try LanguageModel(folder, precision: precision)
    models[name] = model
    return model
  }

  private static func answer(_ words: [String]) throws -> Measurement {
    func number(_ index: Int) throws -> Int {
      guard words.indices.contains(index), let value = Int(words[index]) else { throw BadRequest(line: words) }
      return value
    }
    guard words.count >= 2 else { throw BadRequest(line: words) }
    let precision = words.last.flatMap(Precision.init(rawValue:)) ?? .float32
    switch words[0] {
    case "product": return try product(number(1))
    case "forward": return try forward(model(words[1], precision), window: number(2), count: number(3))
    case "backward": return try backward(model(words[1], precision), window: number(2), count: number(3))
    case "block": return try block(model(words[1], precision), tokens: number(2))
    case "assign": return try assign(neurons: number(1), groups: number(2))
    case "kmeans": return try kmeans(words[1], rows: number(2), columns: number(3), k: number(4))
    case "oneshot": return try optimalBrain(words[1], d: number(2), n: number(3), removed: number(4), isGreedy: false)
    case "greedy": return try optimalBrain(words[1], d: number(2), n: number(3), removed: number(4), isGreedy: true)
    case "networks": return try networks(words[1], rows: number(2), columns: number(3), k: number(4))
    default: throw BadRequest(line: words)
    }
  }

  struct BadRequest: Error { var line: [String] }

  private static func timed(_ body: () throws -> Void) rethrows -> Measurement.Time {
    let (start, products) = (ContinuousClock.now, BLAS.productSeconds)
    try body()
    let spent = (ContinuousClock.now - start).components
    let seconds = Double(spent.seconds) + Double(spent.attoseconds) * 1e-18
    return Measurement.Time(
      seconds: seconds, products: (BLAS.productSeconds - products) / (seconds * Double(Parallel.threads)))
  }

  /// The tokens both sides run: fixed, spread over the vocabulary.
  private static func tokens(_ count: Int, _ vocabulary: Int) -> [Int32] {
    (0..<count).map { Int32(($0 * 7919 + 13) % vocabulary) }
  }

  private static func sequences(_ model: LanguageModel, _ window: Int, _ count: Int) -> Sequences {
    Sequences(windows: window, of: tokens(window * count, model.configuration.vocabularySize))
  }

  /// One large product, the best of five: what the machine can do.
  private static func product(_ n: Int) -> Measurement {
    var random = RandomStream(seed: 1, name: "benchmark")
    let A: Matrix<Float> = random.gaussianMatrix(rows: n, columns: n)
    let C = Matrix<Float>(rows: n, columns: n)
    let times = (0..<5).map { _ in timed { multiply(A, A, into: C) } }
    return Measurement(
      time: times.min { $0.seconds < $1.seconds } ?? timed {}, checks: [("first", Double(C[0, 0]))])
  }

  private static func forward(_ model: LanguageModel, window: Int, count: Int) throws -> Measurement {
    let sequences = sequences(model, window, count)
    var losses: [Double] = []
    let time = try timed { losses = try model.losses(sequences) }
    return Measurement(time: time, checks: [("loss", losses.reduce(0, +) / Double(count * (window - 1)))])
  }

  private static func backward(_ model: LanguageModel, window: Int, count: Int) throws -> Measurement {
    var sum = 0.0
    let time = try timed {
      try model.gradients(sequences(model, window, count), tap: { sum += Double($0.gradient[0, 0]) })
    }
    return Measurement(time: time, checks: [("gradient", sum)])
  }

  private static func block(_ model: LanguageModel, tokens count: Int) throws -> Measurement {
    let block = try model.loadBlock(0)
    var walk = try Walk(model, sequences(model, count, 1))
    // Once untimed: weights are brought into their form with the first product, once for all batches of a walk.
    try walk.embed()
    try walk.step(block)
    walk = try Walk(model, sequences(model, count, 1))
    try walk.embed()
    let time = try timed { try walk.step(block) }
    return Measurement(time: time, checks: [("first", Double(walk.states[0, 0]))])
  }

  private static func assign(neurons: Int, groups: Int) throws -> Measurement {
    var random = RandomStream(seed: 1, name: "benchmark")
    let S = Matrix(
      rows: groups, columns: neurons, values: (0..<(groups * neurons)).map { _ in exp(2 * random.gaussian()) })
    var found: Assignment?
    let capacities = (0..<groups).map { neurons / groups + ($0 < neurons % groups ? 1 : 0) }
    let time = try timed { found = try assignExactly(S, capacities: capacities) }
    return Measurement(time: time, checks: [("total", found?.total ?? 0), ("violation", found?.violation ?? 0)])
  }

  /// Raw little-endian numbers from a file the driver wrote.
  private static func floats(_ path: String, count: Int) throws -> [Float] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    return data.withUnsafeBytes { Array($0.bindMemory(to: Float.self).prefix(count)) }
  }

  private static func kmeans(_ path: String, rows: Int, columns: Int, k: Int) throws -> Measurement {
    let X = Matrix(rows: rows, columns: columns, values: try floats(path, count: rows * columns))
    let start = Matrix<Double>(X.rows(0..<k).copy())
    var found: ContextClusters?
    let time = try timed { found = try contextClusters(X, from: start) }
    return Measurement(
      time: time, checks: [("inertia", found?.inertia ?? 0), ("iterations", Double(found?.history.count ?? 0))])
  }

  private static func optimalBrain(_ path: String, d: Int, n: Int, removed: Int, isGreedy: Bool) throws -> Measurement {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    let numbers = data.withUnsafeBytes { Array($0.bindMemory(to: Double.self)) }
    let W = Matrix(rows: d, columns: n, values: Array(numbers[0..<(d * n)]))
    let gram = Matrix(rows: n, columns: n, values: Array(numbers[(d * n)..<(d * n + n * n)]))
    var loss = 0.0
    let time = try timed {
      let H = try curvature(of: gram)
      let gone: [Int]
      if isGreedy {
        gone = try greedyRemoval(W, overwriting: H.inverse.copy(), dead: H.dead, count: removed).order
      } else {
        gone = argsort(optimalBrainScores(W, H)).prefix(removed).sorted()
      }
      let fitted = try refit(W, removed: gone, H)
      loss = zip(fitted.values, W.values).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    return Measurement(time: time, checks: [("change", loss)])
  }

  private static func networks(_ path: String, rows: Int, columns: Int, k: Int) throws -> Measurement {
    let X = Matrix(rows: rows, columns: columns, values: try floats(path, count: rows * columns))
    var kurtosis = 0.0
    var iterations = 0
    let time = try timed {
      let Z = try ScaledSignals([X])
      let Y1 = try whitened(try sharedSubspace(Z, components: k).B)
      let W = try unmixing(Y1, seed: 0, name: "benchmark")
      iterations = W.iterations
      kurtosis = mean(functionalNetworks(Y1, W: W.W, signals: Z).kurtosis)
    }
    return Measurement(time: time, checks: [("kurtosis", kurtosis), ("iterations", Double(iterations))])
  }
}
