#include "io/genome/pairhmm_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>
#include <utility>

#include "io/input_file.hpp"
#include "io/output_file.hpp"

namespace kiban::io {
namespace {

constexpr std::size_t kLongestLine = 1 << 24;

/// Fields between spaces and tabs, up to one more than `Count`.
template <std::size_t Count>
std::size_t split(std::string_view line, std::array<std::string_view, Count>& fields) {
  std::size_t found = 0;
  for (std::size_t at = line.find_first_not_of(" \t"); at != std::string_view::npos;
       at = line.find_first_not_of(" \t", at)) {
    const std::size_t end = std::min(line.find_first_of(" \t", at), line.size());
    if (found < Count) fields[found] = line.substr(at, end - at);
    if (++found > Count) break;
    at = end;
  }
  return found;
}

bool is_base(char letter) {
  return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') || letter == '-' || letter == '*' ||
         letter == '.';
}

std::int64_t count_from(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc() && end == text.data() + text.size() ? value : -1;
}

template <class T>
std::size_t bytes_of(const std::vector<T>& values) {
  return values.capacity() * sizeof(T);
}

}  // namespace

std::size_t PairHmmText::bytes() const {
  return bytes_of(bases) + bytes_of(base_quality) + bytes_of(insertion_quality) + bytes_of(deletion_quality) +
         bytes_of(gap_quality) + bytes_of(haplotype_bases) + bytes_of(read_begin) + bytes_of(haplotype_begin) +
         bytes_of(reads_begin) + bytes_of(haplotypes_begin);
}

PairHmmTextReader::PairHmmTextReader(const std::filesystem::path& path) : path_(path) {
  input_file_size(path);
  stream_.open(path, std::ios::binary);
  if (!stream_) throw input_error(path, "it cannot be opened");
}

void PairHmmTextReader::refuse(const std::string& sentence) const {
  throw input_error(path_, fmt::format("line {}: {}", number_, sentence));
}

bool PairHmmTextReader::get_line() {
  line_.clear();
  ++number_;
  for (std::streambuf& buffer = *stream_.rdbuf();;) {
    const int next = buffer.sbumpc();
    if (next == std::streambuf::traits_type::eof()) return !line_.empty();
    if (next == '\n') break;
    if (line_.size() == kLongestLine) refuse(fmt::format("it is longer than {} characters", kLongestLine));
    line_ += static_cast<char>(next);
  }
  if (!line_.empty() && line_.back() == '\r') line_.pop_back();
  return true;
}

void PairHmmTextReader::require_line(std::int64_t given, std::int64_t promised, const char* what) {
  if (!get_line())
    refuse(fmt::format("the file ends after {} of the region's {} {}; is it cut short?", given, promised, what));
}

PairHmmText PairHmmTextReader::next(std::int64_t most_pairs) {
  PairHmmText text;
  while (text.pairs < most_pairs && get_line())
    if (line_.find_first_not_of(" \t") != std::string::npos) read_region(text);
  return text;
}

void PairHmmTextReader::read_region(PairHmmText& text) {
  std::array<std::string_view, 2> fields;
  const bool two = split<2>(line_, fields) == 2;
  const std::int64_t reads = two ? count_from(fields[0]) : -1, haplotypes = two ? count_from(fields[1]) : -1;
  if (reads < 1 || haplotypes < 1)
    refuse("a region begins with two numbers, of its reads and of its haplotypes, at least 1");
  if (reads > std::numeric_limits<std::int32_t>::max() / haplotypes)
    refuse(fmt::format("{} reads times {} haplotypes are more than 2^31 - 1 pairs; cut the region", reads, haplotypes));
  for (std::int64_t read = 0; read < reads; ++read) {
    require_line(read, reads, "reads");
    add_read(text);
  }
  for (std::int64_t haplotype = 0; haplotype < haplotypes; ++haplotype) {
    require_line(haplotype, haplotypes, "haplotypes");
    add_haplotype(text);
  }
  text.reads_begin.push_back(static_cast<std::int64_t>(text.read_begin.size()) - 1);
  text.haplotypes_begin.push_back(static_cast<std::int64_t>(text.haplotype_begin.size()) - 1);
  text.pairs += reads * haplotypes;
}

void PairHmmTextReader::add_read(PairHmmText& text) const {
  std::array<std::string_view, 5> fields;
  if (const std::size_t found = split<5>(line_, fields); found != 5)
    refuse(fmt::format(
        "a read has five fields (bases, and base, insertion, deletion and gap-continuation qualities), here "
        "are {}",
        found > 5 ? "more" : std::to_string(found)));
  const std::string_view bases = fields[0];
  if (!std::ranges::all_of(bases, is_base)) refuse("a base of the read is no letter");
  text.bases.insert(text.bases.end(), bases.begin(), bases.end());
  std::size_t field = 1;
  for (const auto& [qualities, what] :
       {std::pair{&text.base_quality, "base"}, std::pair{&text.insertion_quality, "insertion"},
        std::pair{&text.deletion_quality, "deletion"}, std::pair{&text.gap_quality, "gap-continuation"}}) {
    const std::string_view characters = fields[field++];
    if (characters.size() != bases.size())
      refuse(fmt::format("the read has {} bases and {} {} qualities", bases.size(), characters.size(), what));
    for (const char character : characters) {
      if (character < '!' || character > '~') refuse(fmt::format("a {} quality is no character from '!' to '~'", what));
      qualities->push_back(static_cast<std::uint8_t>(character - '!'));
    }
  }
  text.read_begin.push_back(static_cast<std::int64_t>(text.bases.size()));
}

void PairHmmTextReader::add_haplotype(PairHmmText& text) const {
  std::array<std::string_view, 1> fields;
  if (split<1>(line_, fields) != 1) refuse("a haplotype is one word");
  if (!std::ranges::all_of(fields[0], is_base)) refuse("a base of the haplotype is no letter");
  text.haplotype_bases.insert(text.haplotype_bases.end(), fields[0].begin(), fields[0].end());
  text.haplotype_begin.push_back(static_cast<std::int64_t>(text.haplotype_bases.size()));
}

LikelihoodWriter::LikelihoodWriter(const std::filesystem::path& path, std::filesystem::path final_path)
    : path_(path), final_path_(std::move(final_path)), stream_(path, std::ios::binary | std::ios::trunc) {
  require_written();
}

void LikelihoodWriter::write(std::span<const double> likelihoods) {
  fmt::memory_buffer text;
  for (const double likelihood : likelihoods) fmt::format_to(std::back_inserter(text), "{:.6f}\n", likelihood);
  stream_.write(text.data(), static_cast<std::streamsize>(text.size()));
  require_written();
}

void LikelihoodWriter::finish() {
  stream_.close();
  require_written();
}

void LikelihoodWriter::require_written() {
  if (!stream_) throw write_error(final_path_, errno_of_growth(path_));
}

}  // namespace kiban::io
