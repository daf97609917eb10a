#include "io/genome/reads_file.hpp"

#include <fmt/format.h>
#include <htslib/cram.h>
#include <htslib/sam.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "io/genome/hts.hpp"
#include "io/genome/index_check.hpp"
#include "io/input_file.hpp"

extern "C" {
// What HTSlib asks where the reference lacks a sequence: a cache, then a server. Neither is asked, for the reference is
// what the user names (io/CMakeLists.txt wraps the name).
__attribute__((visibility("hidden"))) void* __wrap_open_path_mFILE(char*, char*, char*) { return nullptr; }
}

namespace kiban::io {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> index_of(const fs::path& path) {
  std::error_code ignored;
  for (const char* extension : {".bai", ".csi", ".crai"}) {
    fs::path swapped = path;
    for (const fs::path& candidate : {fs::path(path.string() + extension), swapped.replace_extension(extension)})
      if (fs::exists(candidate, ignored)) return candidate;
  }
  return std::nullopt;
}

/// HTSlib takes memory for as long a text and as many sequences as a BAM's header says that it has.
void require_plausible_header(const fs::path& path) {
  constexpr std::int32_t kLongestText = 1 << 28, kMostSequences = 1 << 22;
  const Hts<BGZF, bgzf_close> file(bgzf_open(path.c_str(), "r"));
  const auto number = [&] {
    std::int32_t value = -1;
    return bgzf_read(file.get(), &value, sizeof value) == sizeof value ? value : -1;
  };
  std::int32_t text = file ? (number(), number()) : -1;
  std::vector<char> passed(4096);
  bool plausible = text >= 0 && text <= kLongestText;
  while (plausible && text > 0) {
    const auto next = std::min<std::int32_t>(text, static_cast<std::int32_t>(passed.size()));
    plausible = bgzf_read(file.get(), passed.data(), static_cast<std::size_t>(next)) == next;
    text -= next;
  }
  const std::int32_t sequences = plausible ? number() : -1;
  if (sequences < 0 || sequences > kMostSequences)
    throw input_error(path, "its header cannot be read; is it cut short or damaged?");
}

}  // namespace

std::vector<fs::path> reads_files(const fs::path& path) {
  std::vector<fs::path> files{path};
  if (const auto index = index_of(path)) files.push_back(*index);
  return files;
}

std::vector<fs::path> listed_reads(const fs::path& path) {
  if (path.extension() != ".txt" && path.extension() != ".list") return {path};
  constexpr std::int64_t kLongest = 1 << 24;
  if (input_file_size(path) > kLongest) throw input_error(path, "is too long for a list of files");
  std::ifstream lines(path);
  std::vector<fs::path> files;
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) files.push_back(path.parent_path() / line);
  }
  if (files.empty()) throw input_error(path, "names no file; give one a line");
  return files;
}

struct ReadsFile::Handles {
  HtsFile file;
  Hts<sam_hdr_t, sam_hdr_destroy> header;
  HtsIndex index;
  Hts<bam1_t, bam_destroy1> record{bam_init1()};
};

ReadsFile::ReadsFile(ReadsFile&&) noexcept = default;
ReadsFile::~ReadsFile() = default;

ReadsFile::ReadsFile(const fs::path& path, const fs::path& reference)
    : path_(path), handles_(std::make_unique<Handles>()) {
  hts_set_log_level(HTS_LOG_OFF);
  input_file_size(path);
  handles_->file.reset(hts_open(path.c_str(), "r"));
  if (!handles_->file) throw input_error(path, "cannot be opened as BAM or CRAM");
  const htsExactFormat format = hts_get_format(handles_->file.get())->format;
  if (format != bam && format != cram) throw input_error(path, "is neither BAM nor CRAM");
  if (hts_check_EOF(handles_->file.get()) == 0) throw input_error(path, "is cut short: the mark at its end is missing");
  if (format == cram && hts_set_opt(handles_->file.get(), CRAM_OPT_REFERENCE, reference.c_str()) != 0)
    throw input_error(reference, "cannot be used as the reference of " + path.string());
  if (format == bam) require_plausible_header(path);
  read_header();
  const auto index = index_of(path);
  if (!index) throw input_error(path, "has no index; make it: samtools index " + path.string());
  if (format == bam) require_sound_index(*index, path);
  input_file_size(*index);
  handles_->index.reset(sam_index_load3(handles_->file.get(), path.c_str(), index->c_str(), HTS_IDX_SILENT_FAIL));
  if (!handles_->index) throw input_error(*index, "cannot be read; make it anew: samtools index " + path.string());
}

void ReadsFile::read_header() {
  handles_->header.reset(sam_hdr_read(handles_->file.get()));
  if (!handles_->header) throw input_error(path_, "its header cannot be read; is it cut short or damaged?");
  for (int i = 0; i < sam_hdr_nref(handles_->header.get()); ++i)
    contigs_.push_back({sam_hdr_tid2name(handles_->header.get(), i), sam_hdr_tid2len(handles_->header.get(), i)});
  HtsLine order;
  if (sam_hdr_find_tag_hd(handles_->header.get(), "SO", &order) == 0 && order.s &&
      std::string_view(order.s) == "queryname")
    throw input_error(path_, "is sorted by name, not by position; sort it: samtools sort");
  read_samples();
}

void ReadsFile::read_samples() {
  const int groups = std::max(0, sam_hdr_count_lines(handles_->header.get(), "RG"));
  for (int group = 0; group < groups; ++group) {
    const char* const id = sam_hdr_line_name(handles_->header.get(), "RG", group);
    HtsLine sample;
    const bool named =
        sam_hdr_find_tag_pos(handles_->header.get(), "RG", group, "SM", &sample) == 0 && sample.s && *sample.s;
    if (!id || !named) throw input_error(path_, "a read group of its header has no sample (SM)");
    const auto found = std::ranges::find(samples_, sample.s);
    sample_of_group_[id] = found - samples_.begin();
    if (found == samples_.end()) samples_.emplace_back(sample.s);
  }
  if (samples_.empty()) samples_.push_back(path_.stem().string());
}

std::int64_t ReadsFile::sample_of_record() const {
  if (samples_.size() == 1) return 0;
  const bam1_t& record = *handles_->record;
  const std::uint8_t* const tag = bam_aux_get(&record, "RG");
  const char* const group = tag ? bam_aux2Z(tag) : nullptr;
  const auto found = group ? sample_of_group_.find(std::string_view(group)) : sample_of_group_.end();
  if (found == sample_of_group_.end())
    throw input_error(path_, fmt::format("read {} has {} and the header several samples", bam_get_qname(&record),
                                         group ? fmt::format("read group {}, which the header lacks,", group)
                                               : std::string("no read group")));
  return found->second;
}

/// False for what is not wanted.
bool ReadsFile::unpack_next(const ReadFilter& filter) {
  const bam1_t& record = *handles_->record;
  const bam1_core_t& core = record.core;
  if ((core.flag & filter.without_flags) != 0 || core.qual < filter.least_mapping_quality) return false;
  const std::uint8_t* const quality = bam_get_qual(&record);
  if (core.l_qseq <= 0 || quality[0] == 0xff || core.n_cigar == 0) return false;
  const auto bases = static_cast<std::size_t>(core.l_qseq);
  if (bam_cigar2qlen(static_cast<int>(core.n_cigar), bam_get_cigar(&record)) != core.l_qseq)
    throw input_error(path_, fmt::format("read {}: its CIGAR is not of as many bases as it has; is the file damaged?",
                                         bam_get_qname(&record)));
  read_.name = bam_get_qname(&record);
  read_.begin = core.pos;
  read_.end = bam_endpos(&record);
  read_.flags = core.flag;
  read_.mapping_quality = core.qual;
  read_.mate_begin = (core.flag & BAM_FPAIRED) != 0 && core.mtid == core.tid ? core.mpos : -1;
  read_.fragment_length = core.isize;
  read_.cigar.assign(bam_get_cigar(&record), bam_get_cigar(&record) + core.n_cigar);
  read_.bases.resize(bases);
  for (std::size_t i = 0; i < bases; ++i)
    read_.bases[i] = static_cast<std::uint8_t>(seq_nt16_str[bam_seqi(bam_get_seq(&record), i)]);
  read_.quality.assign(quality, quality + bases);
  read_.sample = sample_of_record();
  return true;
}

void ReadsFile::fetch(std::int64_t contig, std::int64_t begin, std::int64_t end, const ReadFilter& filter,
                      const std::function<void(const AlignedRead&)>& each) {
  const Hts<hts_itr_t, hts_itr_destroy> region(
      sam_itr_queryi(handles_->index.get(), static_cast<int>(contig), begin, end));
  bam1_t* const record = handles_->record.get();
  if (!region) throw input_error(path_, "its index does not have the region asked for");
  int state = 0;
  for (std::int64_t last = 0; (state = sam_itr_next(handles_->file.get(), region.get(), record)) >= 0;) {
    if (record->core.tid != contig) continue;
    if (record->core.pos < last)
      throw input_error(path_, fmt::format("read {} lies before the one that precedes it; sort the file: samtools sort",
                                           bam_get_qname(record)));
    last = record->core.pos;
    if (unpack_next(filter)) each(read_);
  }
  if (state < -1)
    throw input_error(path_, fmt::format("cannot be decoded in {}:{}-{}: it is damaged{}",
                                         contigs_[static_cast<std::size_t>(contig)].name, begin + 1, end,
                                         hts_get_format(handles_->file.get())->format == cram
                                             ? ", or was written with another reference than the one given"
                                             : ""));
}

}  // namespace kiban::io
