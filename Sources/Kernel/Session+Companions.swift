// What one step does for later ones of its run.

extension StepRunner {
  /// The most steps whose work is done together.
  private static let most = 16

  /// Later steps whose work this one can do on its way, as far as memory and disk allow, their inputs read.
  /// - Parameter estimate: what the step needs; grows by what they need.
  func companions(
    of recipe: StepRecipe, _ estimate: inout Resources
  ) throws -> [(runner: StepRunner, recipe: StepRecipe)] {
    guard step.bound.joins, node.servedBy == nil else { return [] }
    var found: [(runner: StepRunner, recipe: StepRecipe)] = []
    for other in later() where found.count + 1 < StepRunner.most {
      guard let own = try other.joining(step.bound), own.key != recipe.key,
        !found.contains(where: { $0.recipe.key == own.key })
      else { continue }
      found.append((other, own))
    }
    if found.isEmpty { return [] }
    var taken = 0
    while taken < found.count, (try? found[taken].runner.load()) != nil,
      let whole = try? wholeEstimate(with: found[...taken].map(\.runner)), (try? requireRoom(whole)) != nil
    {
      taken += 1
      estimate = whole
    }
    // How much memory is left, ranks may see differently.
    taken = try session.store.agreed(taken)
    for other in found[taken...] { other.runner.unload() }
    return Array(found[..<taken])
  }

  /// Its recipe, if `first` can do its work: its inputs are there, its value is not, and nothing is wrong with it.
  private func joining(_ first: BoundOp) throws -> StepRecipe? {
    guard node.handle == nil, node.failure == nil, node.servedBy == nil,
      node.needs.allSatisfy({ $0.handle != nil })
    else { return nil }
    step.fillInputs()
    guard step.bound.canJoin(first), let recipe = try? prepared() else { return nil }
    return try !recipe.isFresh && session.store.find(recipe.key) == nil ? recipe : nil
  }

  /// Remembers who did whose work.
  func served(_ other: StepRunner) {
    other.node.servedBy = info
    info.with.append(other.info)
  }
}
