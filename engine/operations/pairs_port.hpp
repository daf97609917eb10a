#pragma once
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/operation.hpp"
#include "io/genome/pairhmm_text.hpp"
#include "io/output_file.hpp"
#include "kernels/variant/pairhmm.hpp"

namespace kiban::engine {

/// What a port of kind pairs takes in memory: reads and haplotypes that outlive the run.
using MemoryPairs = variant::PairHmmRegions;

/// What a port of kind likelihoods fills in memory.
struct MemoryLikelihoods {
  std::vector<double> values;  ///< [pair]
};

variant::PairHmmRegions regions_of(const io::PairHmmText& text);

/// Where likelihoods go: text, one a line, or memory.
class LikelihoodSink {
 public:
  /// Claims the output. Errors: input (the file cannot be written).
  LikelihoodSink(const Request& request, const std::string& port);

  /// The next ones. Errors: input (the disk is full).
  void put(std::span<const double> likelihoods);
  /// What `io::commit_together` gives its name; null in memory. Errors: input (the disk is full).
  io::OutputFile* finish();
  void hand_over();

 private:
  std::vector<double> values_;
  std::shared_ptr<MemoryLikelihoods> memory_;
  std::optional<io::OutputFile> file_;
  std::optional<io::LikelihoodWriter> writer_;
};

}  // namespace kiban::engine
