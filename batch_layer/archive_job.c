#include "batch_layer/archive_job.h"

#include "common/base/memory.h"

struct tly_archive_job *tly_archive_job_new(enum tly_job_kind kind) {
  struct tly_archive_job *job = tly_calloc(1, sizeof *job);
  job->kind = kind;
  return job;
}

static void free_batches(struct tly_archive_job *job) {
  for (uint32_t i = 0; i < job->batch_capacity; i++)
    tly_event_batch_free(&job->batches[i]);
  tly_free(job->batches);
  job->batches = NULL;
  job->batch_count = job->batch_capacity = 0;
}

static void free_names(struct tly_archive_job *job) {
  tly_free(job->producer);
  tly_free(job->import_name);
  tly_free(job->import_content);
  tly_free(job->import_place);
}

void tly_archive_job_free(struct tly_archive_job *job) {
  if (job == NULL)
    return;
  free_batches(job);
  tly_buffer_free(&job->payload);
  tly_buffer_free(&job->header);
  tly_buffer_free(&job->result);
  free_names(job);
  tly_free(job->views);
  tly_free(job->id);
  tly_free(job);
}

void tly_archive_job_reset(struct tly_archive_job *job) {
  struct tly_archive_job kept = *job;
  free_names(job);
  tly_free(job->views);
  tly_free(job->id);
  *job = (struct tly_archive_job){.kind = TLY_JOB_INGEST,
                                  .stream = kept.stream,
                                  .payload = kept.payload,
                                  .header = kept.header,
                                  .batches = kept.batches,
                                  .batch_capacity = kept.batch_capacity,
                                  .result = kept.result};
  tly_buffer_clear(&job->payload);
  tly_buffer_clear(&job->header);
  tly_buffer_clear(&job->result);
}

struct tly_event_batch *tly_archive_job_add_batch(struct tly_archive_job *job) {
  if (job->batch_capacity > 0 && job->batches[0].stream != job->stream)
    free_batches(job); /* left from another stream */
  if (job->batch_count == job->batch_capacity) {
    job->batches = tly_realloc_array(job->batches, job->batch_capacity + 1, sizeof *job->batches);
    tly_event_batch_init(&job->batches[job->batch_capacity++], job->stream);
  }
  return &job->batches[job->batch_count++];
}
