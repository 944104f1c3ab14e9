import Foundation
import Kernel
import Numerics
import Testing

@testable import Ops

private let start =
  ScriptBench.labelledTexts + """
    acts = capture m cal sites=ffn.gate,ffn.up keep=stream layers=0,1
    nets = canica acts components=8 per_run=24

    """

@Suite(.serialized) struct DescribeTests {
  let bench = ScriptBench()

  @Test func aNetworkOfTheFirstLayerIsActiveAtSpacesAndNewlines() throws {
    let d: Descriptions = try bench.value(
      "d", start + "d = describe nets cal model=m test=held labels=[kc, kh] layers=0")
    let part = try d.part(0)
    let best = try #require(part.sets.max { $0.auroc < $1.auroc })
    #expect(best.auroc > 0.9)
    #expect(best.rules.prefix(2).allSatisfy { ["space", "⏎"].contains($0.value) }, "\(best.words)")
    #expect(best.auroc > part.randomAUROC && part.randomAUROC > median(best.nullAUROC))
    #expect(best.ceilingAUROC >= best.auroc)
    #expect(best.keys == [best.keys[0]] && best.keys[0].count == 20)
    // Turned texts leave what changes slowly, and no more.
    #expect(best.turned > 0.4 && best.turned < 0.7)
    #expect(part.facts == ContextFact.allCases.map(\.rawValue))
  }

  @Test func onTheTextOfTheNetworksCoursesAreTheirTimeCourses() throws {
    let d: Descriptions = try bench.value("d", start + "d = describe nets cal model=m layers=1 nulls=1 key=3")
    let networks: Networks = try bench.value("nets", start)
    let part = try d.part(0)
    let stored = try networks.part(layer: 1).courses(run: 0)
    // Even windows come first, and the sign is that of the skewed side.
    let order = Array(stride(from: 0, to: 24, by: 2)) + Array(stride(from: 1, to: 24, by: 2))
    for i in 0..<8 {
      let course = part.courses.row(i)
      let row = stored.row(i)
      let same = order.flatMap { row[($0 * 128)..<(($0 + 1) * 128)] }
      let sign: Float = zip(course, same).reduce(0) { $0 + $1.0 * $1.1 } < 0 ? -1 : 1
      // Maps have variance 1 with ddof 1, so that S Sᵀ is N - 1 on the diagonal, and time courses are divided by N.
      #expect(zip(course, same).allSatisfy { abs($0 * 767 / 768 - sign * $1) < 2e-5 })
      let fit = course[..<part.fitTokens].map(Double.init)
      #expect(pole(fit) == 1)
      let events = fit.count { $0 > part.sets[i].threshold }
      #expect(abs(Double(events) / Double(fit.count) - 0.05) < 0.002)
    }
  }

  @Test func placesAreWhereTheTextSaysTheyAre() throws {
    let d: Descriptions = try bench.value("d", start + "d = describe nets cal model=m layers=0 nulls=1 contexts=5")
    let corpus: Corpus = try bench.value("cal", start)
    let text = try readFile(ScriptBench.data + "/calibration.txt")
    let part = try d.part(0)
    for set in part.sets {
      #expect(set.contexts.count == 25)
      for place in set.contexts {
        let bytes = try #require(place.bytes)
        #expect(bytes == corpus.spans?[place.token])
        #expect(place.text == readable(text[bytes]) || bytes.isEmpty)
        #expect((place.course > set.threshold) == (place.quarter == 0))
        if place.before.count == 32, place.before.allSatisfy(\.isASCII) {
          #expect(place.before == readable(text[(bytes.lowerBound - 32)..<bytes.lowerBound]))
        }
      }
      let strongest = set.contexts.filter { $0.quarter == 0 }.map(\.course)
      #expect(strongest == strongest.sorted(by: >))
    }
  }

  @Test func clustersAndGroupsAreDescribedToo() throws {
    let text =
      start + """
        cl = kmeans (capture m cal sites=ffn.in keep=values) k=4 pca=16
        gr = assign (taylor m cal by=cl)
        dc = describe cl cal model=m labels=kc layers=0 nulls=2
        dg = describe gr cal model=m labels=kc layers=5 nulls=2
        """
    let clusters: Descriptions = try bench.value("dc", text)
    let part = try clusters.part(0)
    let information = try #require(part.information)
    #expect(information.count == 8 && information.allSatisfy { $0 > -0.05 && $0 < 1 })
    // Clusters of the first layer are mostly tokens and their looks.
    #expect(information[2] > information[7])
    #expect((0..<part.courses.columns).allSatisfy { t in part.courses.column(t).reduce(0, +) == 1 })
    let groups: Descriptions = try bench.value("dg", text)
    let shares = try groups.part(0)
    #expect(shares.sets.map(\.name) == ["0", "1", "2", "3", "shared"])
    #expect(shares.sets.reduce(0) { $0 + $1.keys[0].count } == 384)
    #expect((0..<shares.courses.columns).allSatisfy { t in abs(shares.courses.column(t).reduce(0, +) - 1) < 1e-5 })
  }

  @Test func networksOverLayersTellWhereTheyAre() throws {
    let text =
      start + "g = canica acts components=4 per_run=24 scope=global\nd = describe g cal model=m nulls=2 course=mean"
    let d: Descriptions = try bench.value("d", text)
    #expect(d.lines.count == 4 && d.lines.allSatisfy { $0.layers == [0, 1] && $0.keys == 39 })
    for set in try d.part(0).sets { #expect(abs(set.spread.reduce(0, +) - 1) < 1e-12) }
  }

  /// Read back from the store, where a row knows its first and last layer only.
  @Test func layersThatAreNoNeighboursKeepTheirNames() throws {
    let text =
      start + """
        far = canica (capture m cal sites=ffn.gate,ffn.up keep=stream layers=0,2) components=4 per_run=24 scope=global
        d = describe far cal model=m nulls=1
        """
    let d: Descriptions = try bench.value("d", text)
    let card = try #require(try d.table(ShowRequest(name: "d", network: "2:1")))
    let shown = card.rows.map { row in row.map { "\($0)" }.joined(separator: " ") }.joined(separator: "\n")
    #expect(shown.contains("layers 0-2"))
    let shares = try d.part(0).sets[1].spread
    #expect(shown.contains("0: \(percent(shares[0])), 2: \(percent(shares[1]))"), "\(shown)")
  }

  @Test func oneAndTwoThreadsDescribeInTheSameBytes() throws {
    let text = start + "d = describe nets cal model=m test=held nulls=3\np = preserve nets m held"
    #expect(try ScriptBench.objects(of: text, threads: 1) == ScriptBench.objects(of: text, threads: 2))
  }

  @Test(arguments: [
    (
      "d = describe nets (text DATA/calibration.txt model=m) model=m", "1 window of text are too few; there must be 16"
    ),
    ("d = describe nets cal model=m events=1%", "1% of 1536 tokens are 15 events; 20 are needed"),
    ("d = describe nets cal model=m run=3", "there is no run 3; the networks have 1 run"),
    ("d = describe nets cal model=m layers=4", "there are no networks of these layers"),
    ("d = describe nets cal model=m labels=kh", "labels= has none of one of the texts"),
    (
      "p = prune m (mask (score nets how=max_abs_z) rate=5%)\nd = describe nets cal model=p",
      "the networks were made on another model"
    ),
    ("d = describe kc held model=m", "the clusters label the tokens of another text"),
    ("d = describe kc cal model=m test=held", "test= is another text, and the clusters label their own"),
    ("d = describe kc cal model=m run=1", "run= is for networks, and this is a value of type clusters"),
    ("p = preserve nets m cal run=2", "there is no run 2; the networks have 1 run"),
  ]) func whatCannotBeDescribedIsRefusedInOneSentence(_ statement: String, _ expected: String) throws {
    #expect(try bench.refusal(start + statement) == expected)
  }

  @Test func theUnprunedModelPreservesEveryNetworkAndAPrunedOneLess() throws {
    let text =
      start
        + """
        whole = preserve nets m held by=network
        p = prune m (mask (score (capture m cal sites=ffn.act keep=moments)) rate=20% scope=layer)
        less = preserve nets p held by=network
        rows = preserve nets p held
        """
    func numbers(_ table: String, _ column: String) throws -> [Double] {
      guard case .numbers(let values)? = try bench.value(table, text, as: ResultTable.self)[column] else { return [] }
      return values
    }
    #expect(try numbers("whole", "preserved").allSatisfy { abs($0 - 1) < 1e-9 })
    #expect(try numbers("whole", "readable").allSatisfy { abs($0 - 1) < 1e-9 })
    let (preserved, readable) = (try numbers("less", "preserved"), try numbers("less", "readable"))
    #expect(preserved.count == 16)
    // In the first layer nothing before it was pruned.
    #expect(zip(preserved, readable).prefix(8).allSatisfy { abs($0 - $1) < 1e-9 })
    #expect(zip(preserved, readable).dropFirst(8).allSatisfy { $0 < $1 })
    #expect(readable.allSatisfy { $0 > 0.98 && $0 < 1 })
    let means = try numbers("rows", "preserved")
    #expect(abs(means[1] - mean(Array(preserved.dropFirst(8)))) < 1e-12)
  }
}

/// Pages for a browser: nothing to load, small, and all text spelled out.
@Suite(.serialized) struct DescriptionPageTests {
  let bench = ScriptBench()

  @Test func everyNetworkHasAPageThatStandsByItself() throws {
    let d: Descriptions = try bench.value("d", start + "d = describe nets cal model=m labels=kc layers=0 nulls=2")
    let folder = bench.folder + "/pages"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    #expect(try d.export(ExportRequest(name: "d <b>", path: folder, form: ExportForm("html"))) == [])
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    #expect(names == ["index.html"] + (0..<8).map { "layer0-\($0).html" })
    for name in names {
      let page = try String(contentsOfFile: folder + "/" + name, encoding: .utf8)
      #expect(page.utf8.count < 40_000, "\(name) has \(page.utf8.count) bytes")
      #expect(!page.contains("<script") && !page.contains("http"))
      // Words of the text cannot open an element.
      #expect(!page.contains("d <b>"))
      let opened = page.matches(of: #/<(svg|table|details|ul|p|h2)[ >]/#).count
      let closed = page.matches(of: #/<\/(svg|table|details|ul|p|h2)>/#).count
      #expect(opened == closed, "\(name)")
    }
    let index = try String(contentsOfFile: folder + "/index.html", encoding: .utf8)
    #expect(names.dropFirst().allSatisfy { index.contains("href=\"\($0)\"") })
  }

  @Test func aProfileIsOfTheCourse() throws {
    let d: Descriptions = try bench.value("d", start + "d = describe nets cal model=m layers=1 nulls=1")
    let part = try d.part(0)
    let profile = CourseProfile(part, 3)
    #expect(profile.histogram(50).reduce(0, +) == 24 * 128)
    #expect(abs(profile.autocorrelation(lags: 4)[0] - 1) < 1e-9)
    #expect(profile.medianByPlace.count == 128)
    for y in [nil, "facts", "position"] { _ = try d.figure(PlotRequest(name: "d", y: y)) }
  }
}
