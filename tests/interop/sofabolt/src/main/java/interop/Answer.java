package interop;

import java.io.Serializable;

/** A response: the text, and the header block of the request as the server saw it. */
public class Answer implements Serializable {
    private static final long serialVersionUID = 1L;

    public String text = "";
    public String seen = "";
    public transient String headers = "";
}
