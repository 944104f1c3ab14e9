// libedit and signals as Swift can call them: el_set and history are variadic, and a signal handler must be C.
#ifndef CEDITLINE_H
#define CEDITLINE_H

#include <histedit.h>

// --- Line editing -----------------------------------------------------------------------------------------------------

typedef unsigned char (*prn_edit_function)(EditLine *, int);
typedef char *(*prn_prompt_function)(EditLine *);

EditLine *prn_edit_open(const char *program);
void prn_edit_prompt(EditLine *edit, prn_prompt_function prompt);
void prn_edit_set_context(EditLine *edit, void *context);
void *prn_edit_context(EditLine *edit);
void prn_edit_add_function(EditLine *edit, const char *name, const char *help, prn_edit_function function);
void prn_edit_bind(EditLine *edit, const char *key, const char *function);
void prn_edit_use_history(EditLine *edit, History *history);

void prn_history_set_size(History *history, int count);
void prn_history_enter(History *history, const char *line);

// --- Signals ----------------------------------------------------------------------------------------------------------

// Gives closed standard streams their numbers back.
void prn_streams_open(void);

// Counts SIGINT and remembers SIGTERM and SIGHUP. The third SIGINT within two seconds of each other restores the
// terminal and leaves with 130; a second SIGTERM leaves with 143. Handlers are set without SA_RESTART, so that a
// blocked read returns.
void prn_signals_install(void);
// Presses since the last call of prn_signals_clear.
int prn_signals_interrupts(void);
// The number of the signal that asked the process to end, or 0.
int prn_signals_termination(void);
void prn_signals_clear(void);

// --- Terminal ---------------------------------------------------------------------------------------------------------

// Columns and rows of the terminal behind a file descriptor; 0 when it is none.
int prn_terminal_columns(int descriptor);
int prn_terminal_rows(int descriptor);

#endif
