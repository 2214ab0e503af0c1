/* A child takes what processor time nobody else wants. How that is said to the kernel matters, and not only for the
 * child. Linux shares a processor out among groups of processes first (those of a session, or a container), then within
 * each, and a group weighs on a processor what its runnable threads there are worth. Where only threads of nice 19 run,
 * the whole group weighs next to nothing; a moment later its live threads wake up and it weighs much. Threads of the
 * kernel, which are in no group, were seen to be runnable and to wait for more than 0.1 s at such a place (Linux 6.18).
 * It is they that end the writing of a file: the archiver's sync waited with them, for up to a second, and with the
 * archiver every live answer.
 *
 * So the child is a group of its own, of a small share, and the group of the live processes weighs what it did.
 * Where groups are made otherwise (a container), the child is one of many in ours; its priority is therefore low, but
 * not so low that our weight collapses. And it sleeps a little when others want its processor: give_way.h. */
#include "batch_layer/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/buffer.h"
#include "common/base/memory.h"

extern char **environ;

enum { ARGUMENT_COUNT = 6, LOW_PRIORITY = 10 };

/* A kernel without such groups has no such file; the priority is enough then. */
static void give_way(void) {
  static const char small_share[] = "10"; /* of the group, as LOW_PRIORITY is of a thread */
  setsid();
  int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t written = write(fd, small_share, sizeof small_share - 1);
    (void)written;
    close(fd);
  }
  setpriority(PRIO_PROCESS, 0, LOW_PRIORITY);
}

/* Between fork and exec only calls that are safe after a fork: the parent has one thread, but its locks may be any. */
static _Noreturn void become(const char *program, char **arguments, char **environment, int in, int out) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* at once, not only when it comes to its own set-up */
  give_way();
  if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
    _exit(127);
  execve(program, arguments, environment);
  _exit(127);
}

static bool is_of(const char *variable, const char *const *names) {
  for (; *names != NULL; names++)
    if (strncmp(variable, *names, strlen(*names)) == 0)
      return true;
  return false;
}

/* Our environment, with what the settings give in place of its own. `threads` and `folder` are what it points to. */
static char **child_environment(const struct tly_settings *settings, struct tly_buffer *threads,
                                struct tly_buffer *folder) {
  static const char *const ours[] = {"TALLY_RECOMPUTE_THREADS=", "TALLY_LEDGER_FOLDER=", "TALLY_READY_FD=", NULL};
  size_t count = 0, kept = 0;
  while (environ[count] != NULL)
    count++;
  char **environment = tly_calloc(count + 3, sizeof(char *));
  for (size_t i = 0; i < count; i++)
    if (!is_of(environ[i], ours))
      environment[kept++] = environ[i];
  tly_buffer_print(threads, "%s%d", ours[0], settings->recompute_threads);
  tly_buffer_print(folder, "%s%s", ours[1],
                   settings->ledger_folder != NULL ? settings->ledger_folder : settings->project);
  environment[kept++] = tly_buffer_text(threads);
  environment[kept] = tly_buffer_text(folder);
  return environment;
}

static pid_t spawn(const struct tly_settings *settings, const char *command, int in, int out) {
  struct tly_buffer threads = {0}, folder = {0};
  const char *arguments[ARGUMENT_COUNT] = {settings->program, command, "--data", settings->directory,
                                           settings->project};
  char **environment = child_environment(settings, &threads, &folder);
  pid_t process = fork();
  if (process == 0)
    become(settings->program, (char **)(void *)arguments, environment, in, out);
  tly_free(environment);
  tly_buffer_free(&threads);
  tly_buffer_free(&folder);
  return process;
}

enum tly_status tly_child_process_start(const struct tly_settings *settings, const char *command,
                                        struct tly_child_process *out, struct tly_error *error) {
  int orders[2], words[2];
  if (pipe2(orders, O_CLOEXEC) != 0)
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not make a pipe");
  if (pipe2(words, O_CLOEXEC) != 0) {
    close(orders[0]);
    close(orders[1]);
    return TLY_FAIL_ERRNO(error, TLY_E_IO, "could not make a pipe");
  }
  pid_t process = spawn(settings, command, orders[0], words[1]);
  enum tly_status status =
      process > 0 ? TLY_OK : TLY_FAIL_ERRNO(error, TLY_E_IO, "could not start a process for %s", command);
  close(orders[0]);
  close(words[1]);
  if (status != TLY_OK) {
    close(orders[1]);
    close(words[0]);
    return status;
  }
  TLY_ASSERT(fcntl(words[0], F_SETFL, O_NONBLOCK) == 0);
  *out = (struct tly_child_process){.process = process, .orders_fd = orders[1], .words_fd = words[0]};
  return TLY_OK;
}

int tly_child_process_wait(pid_t process) {
  int how = 0;
  while (waitpid(process, &how, 0) < 0 && errno == EINTR)
    continue;
  return how;
}
