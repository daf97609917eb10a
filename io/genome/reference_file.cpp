#include "io/genome/reference_file.hpp"

#include <fmt/format.h>
#include <htslib/faidx.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "io/genome/hts.hpp"
#include "io/genome/index_check.hpp"
#include "io/input_file.hpp"

namespace kiban::io {
namespace {

namespace fs = std::filesystem;

fs::path beside(const fs::path& path, const char* extension) { return path.string() + extension; }

/// HTSlib divides by what the index says of a line.
void require_sound_fai(const fs::path& path, const fs::path& index) {
  std::ifstream lines(index);
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream fields(line.substr(std::min(line.find('\t'), line.size())));
    std::int64_t length = -1, offset = -1, bases = -1, width = -1;
    fields >> length >> offset >> bases >> width;
    if (!fields || length < 0 || offset < 0 || bases < (length > 0 ? 1 : 0) || width < bases)
      throw input_error(
          index, fmt::format("line {}: is not what an index of FASTA has; make it anew: samtools faidx {}", number,
                             path.string()));
  }
  if (number == 0) throw input_error(index, "it is empty; make it anew: samtools faidx " + path.string());
}

}  // namespace

std::vector<fs::path> reference_files(const fs::path& path) {
  std::vector<fs::path> files{path};
  std::error_code ignored;
  for (const char* extension : {".fai", ".gzi"})
    if (fs::exists(beside(path, extension), ignored)) files.push_back(beside(path, extension));
  return files;
}

struct ReferenceFile::Handles {
  Hts<faidx_t, fai_destroy> index;
};

ReferenceFile::~ReferenceFile() = default;

ReferenceFile::ReferenceFile(const fs::path& path) : path_(path), handles_(std::make_unique<Handles>()) {
  hts_set_log_level(HTS_LOG_OFF);
  input_file_size(path);
  const fs::path fai = beside(path, ".fai"), gzi = beside(path, ".gzi");
  if (!fs::exists(fai)) throw input_error(path, "has no index; make it: samtools faidx " + path.string());
  input_file_size(fai);
  require_sound_fai(path, fai);
  const bool compressed = read_bytes(path, 0, 2) == "\x1f\x8b";
  if (compressed) {
    if (!fs::exists(gzi))
      throw input_error(path, "is compressed and has no .gzi; make it: samtools faidx " + path.string());
    require_sound_gzi(gzi, path);
  }
  handles_->index.reset(fai_load3(path.c_str(), fai.c_str(), compressed ? gzi.c_str() : nullptr, 0));
  if (!handles_->index)
    throw input_error(path,
                      "cannot be read as indexed FASTA; a compressed one is compressed by bgzip, and samtools "
                      "faidx makes the index");
  for (int i = 0; i < faidx_nseq(handles_->index.get()); ++i) {
    const char* const name = faidx_iseq(handles_->index.get(), i);
    contigs_.push_back({name, faidx_seq_len(handles_->index.get(), name)});
  }
}

void ReferenceFile::fetch(std::int64_t contig, std::int64_t begin, std::int64_t end) {
  const Contig& from = contigs_[static_cast<std::size_t>(contig)];
  constexpr std::int64_t kAbout = 1 << 15;
  begin = std::max<std::int64_t>(0, begin - kAbout);
  end = std::min(from.length, end + kAbout);
  hts_pos_t length = 0;
  const Hts<char, std::free> bases(
      faidx_fetch_seq64(handles_->index.get(), from.name.c_str(), begin, end - 1, &length));
  if (!bases || length != end - begin)
    throw input_error(path_, fmt::format("{}:{}-{} cannot be read; is the file cut short, or its index of another?",
                                         from.name, begin + 1, end));
  kept_.assign(bases.get(), static_cast<std::size_t>(length));
  for (char& base : kept_)
    if (base >= 'a' && base <= 'z') base = static_cast<char>(base - 'a' + 'A');
  kept_contig_ = contig;
  kept_begin_ = begin;
}

std::string ReferenceFile::bases(std::int64_t contig, std::int64_t begin, std::int64_t end) {
  if (end <= begin) return {};
  const bool kept =
      contig == kept_contig_ && begin >= kept_begin_ && end <= kept_begin_ + static_cast<std::int64_t>(kept_.size());
  if (!kept) fetch(contig, begin, end);
  return kept_.substr(static_cast<std::size_t>(begin - kept_begin_), static_cast<std::size_t>(end - begin));
}

}  // namespace kiban::io
