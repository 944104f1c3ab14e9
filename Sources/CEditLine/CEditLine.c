#include "CEditLine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static volatile sig_atomic_t interrupts;
static volatile sig_atomic_t termination;
static volatile sig_atomic_t resized;
static volatile sig_atomic_t continued;

// One byte from the terminal; 1, or 0 at the end of the input, or -1 when a signal asks to stop.
static int read_byte(EditLine *edit, unsigned char *byte) {
  for (;;) {
    // A signal that comes just before read would leave it waiting, so the wait is cut into pieces.
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    int ready = poll(&input, 1, 200);
    ssize_t count = ready > 0 ? read(STDIN_FILENO, byte, 1) : -1;
    int failure = ready == 0 ? EINTR : errno;
    if (interrupts || termination) {
      errno = EINTR;
      return -1;
    }
    if (count >= 0) return (int)count;
    if (failure != EINTR) return -1;
    if (continued) {
      // The shell in front has had the terminal meanwhile.
      continued = 0;
      el_set(edit, EL_PREP_TERM, 1);
      el_set(edit, EL_REFRESH);
    }
    if (resized) {
      resized = 0;
      el_resize(edit);
    }
  }
}

// One character of UTF-8; what is not UTF-8 becomes a question mark.
static int read_character(EditLine *edit, wchar_t *character) {
  unsigned char byte;
  int status = read_byte(edit, &byte);
  if (status != 1) return status;
  // A Ctrl-D typed before the terminal left its line mode arrives as NUL.
  if (byte == 0) byte = 4;
  int more = byte < 0x80 ? 0 : byte >= 0xF0 && byte < 0xF8 ? 3 : byte >= 0xE0 ? 2 : byte >= 0xC0 ? 1 : -1;
  if (more < 0 || byte >= 0xF8) {
    *character = L'?';
    return 1;
  }
  wchar_t value = more == 0 ? byte : byte & (0x3F >> more);
  while (more-- > 0) {
    status = read_byte(edit, &byte);
    if (status != 1) return status;
    if ((byte & 0xC0) != 0x80) {
      *character = L'?';
      return 1;
    }
    value = value << 6 | (byte & 0x3F);
  }
  *character = value;
  return 1;
}

EditLine *prn_edit_open(const char *program) {
  EditLine *edit = el_init(program, stdin, stdout, stderr);
  if (edit == NULL) return NULL;
  el_set(edit, EL_EDITOR, "emacs");
  // libedit's own signal handling loses a Ctrl-C when the next key arrives in the same moment; read_character does not.
  el_set(edit, EL_SIGNAL, 0);
  el_set(edit, EL_GETCFN, read_character);
  return edit;
}

void prn_edit_prompt(EditLine *edit, prn_prompt_function prompt) { el_set(edit, EL_PROMPT, prompt); }

void prn_edit_set_context(EditLine *edit, void *context) { el_set(edit, EL_CLIENTDATA, context); }

void *prn_edit_context(EditLine *edit) {
  void *context = NULL;
  el_get(edit, EL_CLIENTDATA, &context);
  return context;
}

void prn_edit_add_function(EditLine *edit, const char *name, const char *help, prn_edit_function function) {
  el_set(edit, EL_ADDFN, name, help, function);
}

void prn_edit_bind(EditLine *edit, const char *key, const char *function) {
  el_set(edit, EL_BIND, key, function, (char *)NULL);
}

void prn_edit_use_history(EditLine *edit, History *entries) { el_set(edit, EL_HIST, history, entries); }

void prn_history_set_size(History *entries, int count) {
  HistEvent event;
  history(entries, &event, H_SETSIZE, count);
}

void prn_history_enter(History *entries, const char *line) {
  HistEvent event;
  history(entries, &event, H_ENTER, line);
}

static volatile long long last_interrupt;
static struct termios terminal;
static int has_terminal;

static long long milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);  // Safe in a handler (POSIX.1-2008 TC1).
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void leave(int status) {
  if (has_terminal) {
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
    static const char paste_off[] = "\033[?2004l\n";
    if (write(STDERR_FILENO, paste_off, sizeof paste_off - 1) < 0) _exit(status);
  }
  _exit(status);
}

static void interrupted(int number) {
  (void)number;
  long long now = milliseconds();
  // Presses far apart are separate wishes: an old one must not bring the next one closer to leaving.
  if (interrupts > 1 && now - last_interrupt > 2000) interrupts = 1;
  last_interrupt = now;
  interrupts = interrupts + 1;
  if (interrupts >= 3) leave(130);
}

static void terminated(int number) {
  if (termination) leave(128 + number);
  termination = number;
}

static void window_changed(int number) {
  (void)number;
  resized = 1;
}

static void went_on(int number) {
  (void)number;
  continued = 1;
}

void prn_streams_open(void) {
  // The number of a closed stream would go to the next file opened, and what is printed into that file. /dev/null the
  // wrong way round fails as a closed stream does.
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) {
    if (fcntl(stream, F_GETFD) < 0) open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

void prn_signals_install(void) {
  has_terminal = tcgetattr(STDIN_FILENO, &terminal) == 0;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  sigemptyset(&action.sa_mask);
  action.sa_handler = interrupted;
  sigaction(SIGINT, &action, NULL);
  action.sa_handler = terminated;
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
  action.sa_handler = window_changed;
  sigaction(SIGWINCH, &action, NULL);
  action.sa_handler = went_on;
  sigaction(SIGCONT, &action, NULL);
  // A reader that went away is an error of write(2), to be told like any other.
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);
  // So is a file that has reached the size this process may give it.
  sigaction(SIGXFSZ, &action, NULL);
}

int prn_signals_interrupts(void) { return interrupts; }
int prn_signals_termination(void) { return termination; }
void prn_signals_clear(void) { interrupts = 0; }

static struct winsize window(int descriptor) {
  struct winsize size;
  memset(&size, 0, sizeof size);
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0) memset(&size, 0, sizeof size);
  return size;
}

int prn_terminal_columns(int descriptor) { return window(descriptor).ws_col; }
int prn_terminal_rows(int descriptor) { return window(descriptor).ws_row; }
