#include <fmt/format.h>
#include <htslib/tbx.h>
#include <htslib/vcf.h>

#include <algorithm>
#include <filesystem>

#include "io/genome/hts.hpp"
#include "io/genome/index_check.hpp"
#include "io/genome/variant_file.hpp"
#include "io/input_file.hpp"

namespace kiban::io {
namespace {

namespace fs = std::filesystem;

/// Reading the header, HTSlib looks into an index that lies beside the file.
void require_sound_neighbours(const fs::path& path) {
  std::error_code ignored;
  for (const char* extension : {".tbi", ".csi"})
    if (const fs::path index = path.string() + extension; fs::exists(index, ignored)) require_sound_index(index, path);
}

/// HTSlib takes a line that ends before its eighth column for a record; it has put zeros where the tabs were.
bool has_all_columns(const htsFile& file) {
  if (file.format.format != vcf) return true;
  const auto is_end = [](char letter) { return letter == '\t' || letter == '\0'; };
  return std::count_if(file.line.s, file.line.s + file.line.l, is_end) >= 7;
}

}  // namespace

struct VariantReader::Handles {
  HtsFile file;
  Hts<bcf_hdr_t, bcf_hdr_destroy> header;
  Hts<bcf1_t, bcf_destroy> record{bcf_init()};
};

VariantReader::~VariantReader() = default;

VariantReader::VariantReader(const fs::path& path) : path_(path), handles_(std::make_unique<Handles>()) {
  hts_set_log_level(HTS_LOG_OFF);
  input_file_size(path);
  require_sound_neighbours(path);
  handles_->file.reset(hts_open(path.c_str(), "r"));
  const htsExactFormat format = handles_->file ? hts_get_format(handles_->file.get())->format : unknown_format;
  if (format != vcf && format != bcf) throw input_error(path, "is neither VCF nor BCF");
  // Plain text has no mark at its end, and old compressed files need not have one.
  if (hts_get_format(handles_->file.get())->compression == bgzf && hts_check_EOF(handles_->file.get()) == 0)
    throw input_error(path, "is cut short: the mark at its end is missing");
  handles_->header.reset(bcf_hdr_read(handles_->file.get()));
  if (!handles_->header || bcf_hdr_set_samples(handles_->header.get(), nullptr, 0) < 0)
    throw input_error(path, "its header cannot be read; is it cut short or damaged?");
  // Not by bcf_hdr_seqnames, which ends the program where a header numbers its sequences beyond their count.
  const bcf_hdr_t& header = *handles_->header;
  for (int i = 0; i < header.n[BCF_DT_CTG]; ++i)
    if (const bcf_idpair_t& contig = header.id[BCF_DT_CTG][i]; contig.key && contig.val)
      contigs_.push_back({contig.key, static_cast<std::int64_t>(contig.val->info[0])});
}

bool VariantReader::next(VariantSite& site) {
  bcf_hdr_t* const header = handles_->header.get();
  bcf1_t* const record = handles_->record.get();
  const int state = bcf_read(handles_->file.get(), header, record);
  if (state == -1) return false;
  ++number_;
  constexpr int kForgiven = BCF_ERR_CTG_UNDEF | BCF_ERR_TAG_UNDEF;
  const bool sound = state == 0 && (record->errcode & ~kForgiven) == 0 && record->rid >= 0 &&
                     record->rid < header->n[BCF_DT_CTG] && record->pos >= 0 && has_all_columns(*handles_->file) &&
                     bcf_unpack(record, BCF_UN_STR) == 0 && record->n_allele > 0;
  const char* const contig = sound ? bcf_seqname(header, record) : nullptr;
  if (!contig)
    throw input_error(path_, fmt::format("record {} cannot be read; is the file cut short or damaged?", number_));
  site.contig = contig;
  site.position = record->pos;
  site.id = record->d.id && *record->d.id ? record->d.id : ".";
  site.alleles.assign(record->d.allele, record->d.allele + record->n_allele);
  return true;
}

}  // namespace kiban::io
